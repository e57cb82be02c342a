// SPDX-License-Identifier: Apache-2.0
#include "kernels/enqueue.h"

#include "kernels/cuda_check.h"
#include "kernels/work_list.h"

namespace stampede {

#ifdef __CUDACC__
namespace {

cudaStream_t cuda_stream(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle()); }

}  // namespace

void enqueue(const Stream& stream, const KernelLaunch& launch, const KernelArguments& arguments) {
  if (stream.recorder() != nullptr) return stream.recorder()->work().add(launch, arguments);
  void* addresses[] = {const_cast<void*>(arguments[0].data), const_cast<void*>(arguments[1].data)};
  CUDA_CHECK(cudaLaunchKernel(launch.function, dim3(launch.grid), dim3(launch.block), addresses, launch.shared,
                              cuda_stream(stream)));
}

void enqueue(const Stream& stream, const DeviceCopy& copy) {
  if (stream.recorder() != nullptr) return stream.recorder()->work().add(copy);
  CUDA_CHECK(cudaMemcpyAsync(copy.to, copy.from, copy.bytes, cudaMemcpyDeviceToDevice, cuda_stream(stream)));
}

void enqueue(const Stream& stream, const ZeroFill& fill) {
  if (stream.recorder() != nullptr) return stream.recorder()->work().add(fill);
  CUDA_CHECK(cudaMemsetAsync(fill.memory, 0, fill.bytes, cuda_stream(stream)));
}
#endif

}  // namespace stampede
