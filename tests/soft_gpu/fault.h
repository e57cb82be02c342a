// SPDX-License-Identifier: Apache-2.0
// What a program did wrong on the software GPU.
#pragma once

#include <stdexcept>
#include <string>

namespace stampede::soft_gpu {

// The message of a fault in a kernel names the kernel, block, thread and PTX line.
class Fault : public std::runtime_error {
 public:
  enum class Kind {
    kOutOfBounds,     // an address outside every allocation, also one that was freed
    kUninitialized,   // a read of bytes that nobody has written
    kMisaligned,      // an address that is no multiple of the access's size
    kBadFree,         // a release of something that is not the start of an allocation
    kSharedRace,      // two threads use a word of shared memory without a barrier between them
    kGlobalRace,      // two threads use a word of global memory and nothing orders them
    kBarrier,         // threads of a block do not meet at a barrier
    kWarpSync,        // lanes that a warp instruction names do not meet there
    kBadLaunch,       // a launch that the kernel or the device does not allow
    kBadInstruction,  // PTX that this machine does not know
  };
  Fault(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

}  // namespace stampede::soft_gpu
