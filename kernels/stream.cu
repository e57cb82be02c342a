// SPDX-License-Identifier: Apache-2.0
#include "kernels/stream.h"

#include <string>
#include <utility>

#include "kernels/cuda_check.h"
#include "kernels/error.h"
#include "kernels/work_list.h"

namespace stampede {

Stream::Shared::~Shared() {
#ifdef __CUDACC__
  if (handle != nullptr) cudaStreamDestroy(static_cast<cudaStream_t>(handle));
#endif
}

Stream::Stream(Device device, int threads, std::shared_ptr<Shared> shared)
    : device_(device), threads_(threads), shared_(std::move(shared)) {}

Stream Stream::cpu(int threads) {
  if (threads < 1 || threads > 1024) {
    throw UsageError("threads: " + std::to_string(threads) + " is out of range [1, 1024]");
  }
  return Stream(Device{}, threads, std::make_shared<Shared>());
}

Stream Stream::cuda(int device_index) {
#ifdef __CUDACC__
  CUDA_CHECK(cudaSetDevice(device_index));
  auto shared = std::make_shared<Shared>();
  cudaStream_t created = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking));
  shared->handle = created;
  return Stream({DeviceKind::kCuda, device_index}, 1, std::move(shared));
#else
  static_cast<void>(device_index);
  throw RuntimeError("device cuda: " + cuda_unavailable_reason());
#endif
}

void* Stream::handle() const {
  if (shared_->recorder != nullptr) shared_->recorder->interrupt();
  return shared_->handle;
}

Stream Stream::serial() const { return is_cuda() ? *this : Stream(device_, 1, shared_); }

void Stream::synchronize() const {
  count_host_wait();
#ifdef __CUDACC__
  if (is_cuda()) CUDA_CHECK(cudaStreamSynchronize(static_cast<cudaStream_t>(handle())));
#endif
}

}  // namespace stampede
