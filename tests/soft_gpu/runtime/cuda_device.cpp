// SPDX-License-Identifier: Apache-2.0
// CUDA's functions for devices and errors. There is one device.
#include "tests/soft_gpu/runtime/device_limits.h"
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

namespace {

int attribute_value(cudaDeviceAttr attribute) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
      return kMaxBlockThreads;
    case cudaDevAttrMaxGridDimX:
      return kMaxGrid;
    case cudaDevAttrWarpSize:
      return 32;
    case cudaDevAttrMultiProcessorCount:
      return kMultiprocessors;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return 2048;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return kSharedBytes;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return kSharedBytesOptIn;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return kSharedBytesPerMultiprocessor;
    case cudaDevAttrMaxRegistersPerBlock:
      return kRegisters;
    case cudaDevAttrComputeCapabilityMajor:
      return 9;
    case cudaDevAttrComputeCapabilityMinor:
      return 0;
    default:
      throw ApiError{cudaErrorNotSupported};
  }
}

struct ErrorText {
  cudaError_t code;
  const char *name, *text;
};

const ErrorText& error_text(cudaError_t error) {
  static constexpr ErrorText kTexts[] = {
      {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
      {cudaSuccess, "cudaSuccess", "no error"},
      {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
      {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
      {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
      {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
      {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
      {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
      {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
      {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
      {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
      {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
      {cudaErrorIllegalInstruction, "cudaErrorIllegalInstruction", "an illegal instruction was encountered"},
      {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
      {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
      {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
      {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
       "operation not permitted when stream is capturing"},
      {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
       "operation failed due to a previous error during capture"},
      {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
       "operation would make the legacy stream depend on a capturing blocking stream"},
      {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
       "operation not permitted on an event last recorded in a capturing stream"},
      {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
       "the graph update was not performed because it included changes which violated constraints specific to "
       "instantiated graph update"},
  };
  for (const ErrorText& known : kTexts) {
    if (known.code == error) return known;
  }
  return kTexts[0];
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  return Runtime::get().call([&](Context&) { *count = 1; });
}

cudaError_t cudaSetDevice(int device) {
  return Runtime::get().call([&](Context&) {
    if (device != 0) throw ApiError{cudaErrorInvalidDevice};
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return Runtime::get().call([&](Context&) {
    if (device != 0) throw ApiError{cudaErrorInvalidDevice};
    *value = attribute_value(attribute);
  });
}

// The loss of the device stays.
cudaError_t cudaGetLastError() {
  const cudaError_t lost = Runtime::get().lost();
  return lost != cudaSuccess ? lost : std::exchange(Runtime::last_error(), cudaSuccess);
}

const char* cudaGetErrorName(cudaError_t error) { return error_text(error).name; }

const char* cudaGetErrorString(cudaError_t error) { return error_text(error).text; }

}  // extern "C"
