// What tch leaves out of libtorch, as C functions over tensor pointers.
// Every function returns false when libtorch threw; shim_error() then holds its message, without
// the C++ backtrace. Tensors that are returned belong to the caller.

#include "shim.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <mutex>

thread_local std::string shim_last_error;

namespace {

at::Generator generator(bool cuda, int index) {
  return cuda ? at::globalContext().defaultGenerator(at::Device(at::kCUDA, index))
              : at::detail::getDefaultCPUGenerator();
}

} // namespace

extern "C" {

SHIM const char *shim_error() { return shim_last_error.c_str(); }

SHIM const char *shim_libtorch_version() { return TORCH_VERSION; }

SHIM bool shim_fused_adamw(at::Tensor *const *params, at::Tensor *const *grads,
                           at::Tensor *const *exp_avg, at::Tensor *const *exp_avg_sq,
                           at::Tensor *const *steps, size_t len, double lr, double beta1,
                           double beta2, double weight_decay, double eps,
                           const at::Tensor *grad_scale, const at::Tensor *found_inf) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto optional = [](const at::Tensor *tensor) {
      return tensor ? std::optional<at::Tensor>(*tensor) : std::nullopt;
    };
    auto counts = list(steps, len);
    at::_foreach_add_(counts, 1); // the kernel reads the number of this update
    at::_fused_adamw_(list(params, len), list(grads, len), list(exp_avg, len),
                      list(exp_avg_sq, len), {}, counts, lr, beta1, beta2, weight_decay,
                      eps, /*amsgrad=*/false, /*maximize=*/false, optional(grad_scale),
                      optional(found_inf));
    // As torch/optim/adam.py does: a skipped update does not count.
    if (found_inf) at::_foreach_sub_(counts, std::vector<at::Tensor>(len, *found_inf));
  });
}

SHIM bool shim_global_norm(at::Tensor *const *tensors, size_t len, at::Tensor **out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto norms = at::_foreach_norm(list(tensors, len), 2);
    *out = new at::Tensor(at::linalg_vector_norm(at::stack(norms), 2));
  });
}

SHIM bool shim_scale(at::Tensor *const *tensors, size_t len, const at::Tensor *factor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto all = list(tensors, len);
    at::_foreach_mul_(all, *factor);
  });
}

SHIM bool shim_copy(at::Tensor *const *to, at::Tensor *const *from, size_t len) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::_foreach_copy_(list(to, len), list(from, len));
  });
}

SHIM bool shim_update_scale(at::Tensor *scale, at::Tensor *growth_tracker,
                            const at::Tensor *found_inf, double growth, double backoff,
                            int64_t interval) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::_amp_update_scale_(*scale, *growth_tracker, *found_inf, growth, backoff, interval);
  });
}

SHIM bool shim_grad_is_enabled() { return at::GradMode::is_enabled(); }

SHIM bool shim_backward(at::Tensor *const *outputs, at::Tensor *const *grads, size_t len) {
  return guarded([&] { torch::autograd::backward(list(outputs, len), list(grads, len)); });
}

// Frees the gradients, so that the next backward pass writes instead of adding.
SHIM void shim_clear_grads(at::Tensor *const *tensors, size_t len) {
  for (size_t i = 0; i < len; i++) tensors[i]->mutable_grad().reset();
}

// Enters autocast to bfloat16 or float16 on one device type; `was` and `was_dtype` receive what
// shim_autocast_leave restores.
SHIM bool shim_autocast_enter(bool cuda, bool half, bool *was, int *was_dtype) {
  return guarded([&] {
    auto device = cuda ? at::kCUDA : at::kCPU;
    *was = at::autocast::is_autocast_enabled(device);
    *was_dtype = static_cast<int>(at::autocast::get_autocast_dtype(device));
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::set_autocast_dtype(device, half ? at::kHalf : at::kBFloat16);
    at::autocast::increment_nesting();
  });
}

SHIM bool shim_autocast_is_on(bool cuda) {
  return at::autocast::is_autocast_enabled(cuda ? at::kCUDA : at::kCPU);
}

SHIM bool shim_autocast_leave(bool cuda, bool was, int was_dtype) {
  return guarded([&] {
    auto device = cuda ? at::kCUDA : at::kCPU;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device, was);
    at::autocast::set_autocast_dtype(device, static_cast<at::ScalarType>(was_dtype));
  });
}

// Lets cuBLAS round the inputs of f32 matrix products to TF32, or not, in the whole process.
SHIM bool shim_allow_tf32(bool allow) {
  return guarded([&] { at::globalContext().setAllowTF32CuBLAS(allow); });
}

SHIM bool shim_tf32_is_allowed(bool *allowed) {
  return guarded([&] { *allowed = at::globalContext().allowTF32CuBLAS(); });
}

SHIM bool shim_rng_state(bool cuda, int index, at::Tensor **out) {
  return guarded([&] {
    auto gen = generator(cuda, index);
    std::lock_guard<std::mutex> lock(gen.mutex());
    *out = new at::Tensor(gen.get_state());
  });
}

SHIM bool shim_set_rng_state(bool cuda, int index, const at::Tensor *state) {
  return guarded([&] {
    auto gen = generator(cuda, index);
    std::lock_guard<std::mutex> lock(gen.mutex());
    gen.set_state(*state);
  });
}
}
