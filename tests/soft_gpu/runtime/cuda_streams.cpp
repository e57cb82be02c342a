// SPDX-License-Identifier: Apache-2.0
// CUDA's functions for streams and events.
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return Runtime::get().call([&](Context& context) {
    if ((flags & ~static_cast<unsigned>(cudaStreamNonBlocking)) != 0) throw ApiError{cudaErrorInvalidValue};
    *stream = context.create_stream(flags == cudaStreamNonBlocking);
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) { context.destroy_stream(stream); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) { context.synchronize(stream); });
}

cudaError_t cudaDeviceSynchronize() {
  return Runtime::get().call([&](Context& context) { context.synchronize_whole_device(); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return Runtime::get().call([&](Context& context) { *event = context.create_event(); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return Runtime::get().call([&](Context& context) { context.destroy_event(event); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) { context.record(event, stream); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Runtime::get().call([&](Context& context) { context.synchronize(event); });
}

}  // extern "C"
