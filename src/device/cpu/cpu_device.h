// The CPU as a Device: one kernel table, one pool of threads.
#pragma once

#include <memory>

#include "device/device.h"
#include "kernels/table.h"

namespace baton::device {

struct CpuOptions {
  int threads = 0;  // 0: one per os::ComputeProcessors()
  bool pin_threads = false;
};

std::unique_ptr<Device> MakeCpuDevice(const kernels::KernelTable& kernels,
                                      const CpuOptions& options = {});

}  // namespace baton::device
