// Activations that are computed again in the backward pass instead of being kept: what
// torch.utils.checkpoint(use_reentrant=True) is to Python. libtorch has no C++ form of it.

#include "shim.hpp"

#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::array<at::DeviceType, 2> kDevices = {at::kCPU, at::kCUDA};

// Whether autocast is on, and to what, on each type of device of this thread.
struct AutocastState {
  std::array<bool, 2> enabled;
  std::array<at::ScalarType, 2> dtype;

  static AutocastState now() {
    AutocastState state;
    for (size_t i = 0; i < kDevices.size(); i++) {
      state.enabled[i] = at::autocast::is_autocast_enabled(kDevices[i]);
      state.dtype[i] = at::autocast::get_autocast_dtype(kDevices[i]);
    }
    return state;
  }

  void set() const {
    for (size_t i = 0; i < kDevices.size(); i++) {
      at::autocast::set_autocast_enabled(kDevices[i], enabled[i]);
      at::autocast::set_autocast_dtype(kDevices[i], dtype[i]);
    }
  }
};

// Puts this thread into a given autocast state without the cache of casts: a cast of a weight that
// was made without a graph must not serve a pass with one.
class AutocastScope {
public:
  explicit AutocastScope(const AutocastState &state)
      : was_(AutocastState::now()), cached_(at::autocast::is_autocast_cache_enabled()) {
    state.set();
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~AutocastScope() {
    was_.set();
    at::autocast::set_autocast_cache_enabled(cached_);
  }
  AutocastScope(const AutocastScope &) = delete;
  AutocastScope &operator=(const AutocastScope &) = delete;

private:
  AutocastState was_;
  bool cached_;
};

using Run = bool (*)(void *body, const at::Tensor *input, at::Tensor **output);
using Drop = void (*)(void *body);

// A closure of the Rust side. Only the node that owns it calls it, and a node runs under its lock.
struct Body : torch::CustomClassHolder {
  Body(void *body, Run run, Drop drop)
      : body_(body), run_(run), drop_(drop), autocast_(AutocastState::now()) {}
  ~Body() override { drop_(body_); }

  // Runs it as autocast was when it was made.
  at::Tensor run(const at::Tensor &input) {
    AutocastScope scope(autocast_);
    at::Tensor *output = nullptr;
    if (!run_(body_, &input, &output)) throw std::runtime_error(shim_last_error);
    return *std::unique_ptr<at::Tensor>(output);
  }

private:
  void *body_;
  Run run_;
  Drop drop_;
  AutocastState autocast_;
};

struct Recompute : torch::autograd::Function<Recompute> {
  // libtorch calls it with gradients disabled.
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &input, const at::Tensor &,
                            const c10::intrusive_ptr<Body> &body) {
    ctx->save_for_backward({input});
    ctx->saved_data["body"] = c10::IValue::make_capsule(body);
    return body->run(input);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto capsule = ctx->saved_data["body"].toCapsule();
    auto &body = static_cast<Body &>(*capsule);
    auto input = ctx->get_saved_variables()[0].detach();
    input.set_requires_grad(ctx->needs_input_grad(0));
    at::AutoGradMode with_graph(true);
    auto output = body.run(input);
    // A pass of its own, which adds to the gradients of the parameters within.
    torch::autograd::backward({output}, {grads[0]});
    return {input.grad(), at::Tensor(), at::Tensor()};
  }
};

} // namespace

extern "C" {

// The message that a failing closure leaves for Body::run.
SHIM void shim_set_error(const char *message, size_t len) { shim_last_error.assign(message, len); }

// Takes ownership of `body` in every case.
SHIM bool shim_recompute(const at::Tensor *input, void *body, Run run, Drop drop,
                         at::Tensor **out) {
  auto owner = c10::make_intrusive<Body>(body, run, drop);
  return guarded([&] {
    // Without it there would be no node where only parameters within the body need gradients.
    auto learns = at::empty({0}).set_requires_grad(true);
    *out = new at::Tensor(Recompute::apply(*input, learns, owner));
  });
}
}
