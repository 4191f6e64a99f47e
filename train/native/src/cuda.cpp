// GPUs: memory, copies that the host does not wait for. Compiled everywhere; only called where the
// device is a GPU, so that a CPU run never touches CUDA.

#include "shim.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/cuda/CUDAFunctions.h>

#include <memory>

// Streams and events by c10's device-neutral interface: that of CUDA is inline and would need the
// CUDA runtime at link time.
namespace {

c10::Stream current_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device);
}

} // namespace

// A stream of its own for copies to the device.
struct Uploader {
  c10::Stream stream;
};

// A scalar on its way to pinned memory.
struct Delayed {
  at::Tensor pinned;
  c10::Event event{at::kCUDA};
};

extern "C" {

SHIM int shim_cuda_device_count() { return c10::cuda::device_count(); }

SHIM bool shim_cuda_set_device(int index) {
  return guarded([&] { c10::cuda::set_device(static_cast<c10::DeviceIndex>(index)); });
}

SHIM bool shim_cuda_memory(int index, uint64_t *free, uint64_t *total, uint64_t *allocated,
                           uint64_t *peak) {
  return guarded([&] {
    auto device = static_cast<c10::DeviceIndex>(index);
    auto *allocator = c10::getDeviceAllocator(at::kCUDA); // as above: CUDA's own is inline
    auto [free_bytes, total_bytes] = allocator->getMemoryInfo(device);
    auto stats = allocator->getDeviceStats(device);
    auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *free = free_bytes;
    *total = total_bytes;
    *allocated = stats.allocated_bytes[all].current;
    *peak = stats.allocated_bytes[all].peak;
  });
}

SHIM bool shim_cuda_reset_peak(int index) {
  return guarded([&] {
    c10::getDeviceAllocator(at::kCUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(index));
  });
}

SHIM bool shim_cuda_empty_cache() {
  return guarded([&] { c10::getDeviceAllocator(at::kCUDA)->emptyCache(); });
}

SHIM bool shim_uploader_new(int index, Uploader **out) {
  return guarded([&] {
    TORCH_CHECK(index < c10::cuda::device_count(), "there is no GPU ", index);
    auto device = c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
    *out = new Uploader{c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(device)};
  });
}

SHIM void shim_uploader_free(Uploader *uploader) { delete uploader; }

// The copy runs on the uploader's stream; the current stream waits for it before its next kernel.
SHIM bool shim_uploader_upload(Uploader *uploader, const at::Tensor *host, at::Tensor **out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto device = uploader->stream.device();
    auto current = current_stream(device);
    auto pinned = host->contiguous().pin_memory();
    at::Tensor copy;
    {
      c10::StreamGuard on(uploader->stream);
      // The host allocator keeps the pinned block until this copy is done.
      copy = pinned.to(device, /*non_blocking=*/true);
    }
    c10::Event done(at::kCUDA);
    done.record(uploader->stream);
    done.block(current);
    // The block came from the other stream's pool: it must not go back there while this one reads.
    copy.record_stream(current);
    *out = new at::Tensor(copy);
  });
}

// Host memory for bytes; pinned, a GPU copies from it by itself.
SHIM bool shim_host_bytes(int64_t len, bool pinned, at::Tensor **out) {
  return guarded([&] {
    auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(pinned);
    *out = new at::Tensor(at::empty({len}, options));
  });
}

SHIM bool shim_delayed_new(const at::Tensor *scalar, Delayed **out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto value = scalar->detach().to(at::kDouble);
    auto options = at::TensorOptions().dtype(at::kDouble).pinned_memory(true);
    auto delayed = std::make_unique<Delayed>();
    delayed->pinned = at::empty(value.sizes(), options);
    delayed->pinned.copy_(value, /*non_blocking=*/true);
    delayed->event.record(current_stream(scalar->device()));
    *out = delayed.release();
  });
}

SHIM bool shim_delayed_get(Delayed *delayed, double *value) {
  return guarded([&] {
    delayed->event.synchronize();
    *value = delayed->pinned.item<double>();
  });
}

SHIM void shim_delayed_free(Delayed *delayed) { delete delayed; }
}
