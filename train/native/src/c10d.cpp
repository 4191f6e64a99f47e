// Processes that work together: libtorch's own c10d, the layer below torch.distributed.
// A group always has Gloo for CPU tensors and, where it is given a GPU, NCCL for CUDA tensors.
// Objects are handed out as pointers and freed by the function that names them.

#include "shim.hpp"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <c10/util/Logging.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

using c10::intrusive_ptr;
using c10d::ProcessGroup;
using std::chrono::milliseconds;

// Defined in nccl.cpp.
intrusive_ptr<c10d::Backend> nccl_backend(const intrusive_ptr<c10d::Store> &store, int rank,
                                          int world, milliseconds timeout);

namespace {

// Failures come back as exceptions; what libtorch prints about them besides, with C++ frames, is left
// out unless the user asks for it with TORCH_CPP_LOG_LEVEL.
void keep_quiet() {
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 3; // fatal only
}

struct Store {
  intrusive_ptr<c10d::Store> store;
};

struct Group {
  intrusive_ptr<ProcessGroup> group;
};

// Sums each bucket of gradients over the ranks, in bfloat16 if asked. Without a hook of its own the
// Reducer divides by the number of ranks; here every gradient is a sum already.
class SumHook : public c10d::CppCommHookInterface<intrusive_ptr<ProcessGroup>> {
public:
  SumHook(intrusive_ptr<ProcessGroup> group, bool bf16)
      : CppCommHookInterface(std::move(group)), bf16_(bf16) {}

  intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket &bucket) override {
    auto whole = bucket.getBufferRef();
    std::vector<at::Tensor> sent{bf16_ ? whole.to(at::kBFloat16) : whole};
    auto future = state_->allreduce(sent)->getFuture();
    auto back = [whole, bf16 = bf16_](c10::ivalue::Future &done) -> c10::IValue {
      auto result = done.value();
      auto sum = result.isTensorList() ? result.toTensorVector()[0] : result.toTensor();
      if (!bf16) return sum;
      auto out = whole;
      out.copy_(sum);
      return out;
    };
    return future->then(back, c10::TensorType::get());
  }

private:
  bool bf16_;
};

} // namespace

extern "C" {

SHIM bool shim_store_connect(const char *host, uint16_t port, bool serve, size_t world,
                             uint64_t timeout_ms, const char *prefix, Store **out) {
  return guarded([&] {
    keep_quiet();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    if (world > 0) options.numWorkers = world;
    options.waitWorkers = world > 0;
    options.timeout = milliseconds(timeout_ms);
    auto tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    *out = new Store{c10::make_intrusive<c10d::PrefixStore>(prefix, tcp)};
  });
}

SHIM void shim_store_free(Store *store) { delete store; }

SHIM bool shim_store_set(Store *store, const char *key, const char *value) {
  return guarded([&] {
    store->store->set(key, std::vector<uint8_t>(value, value + std::strlen(value)));
  });
}

// Waits for the key up to the store's timeout; `value` receives at most `room` bytes, NUL included.
SHIM bool shim_store_get(Store *store, const char *key, char *value, size_t room) {
  return guarded([&] {
    auto bytes = store->store->get(key);
    TORCH_CHECK(bytes.size() < room, "the value of `", key, "` has ", bytes.size(), " bytes");
    std::copy(bytes.begin(), bytes.end(), value);
    value[bytes.size()] = 0;
  });
}

// `host` names the network interface of Gloo by an address; null leaves the choice to Gloo.
SHIM bool shim_group_new(Store *store, int rank, int world, uint64_t timeout_ms, const char *host,
                         bool nccl, Group **out) {
  return guarded([&] {
    auto timeout = milliseconds(timeout_ms);
    // By default GLOO_SOCKET_IFNAME names the interfaces, else the host's name does.
    auto options = host ? c10d::ProcessGroupGloo::Options::create(timeout)
                        : c10d::ProcessGroupGloo::Options::create_default(timeout);
    if (host) options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(host));
    auto gloo_store = c10::make_intrusive<c10d::PrefixStore>("gloo", store->store);
    auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(gloo_store, rank, world, options);
    auto group = c10::make_intrusive<ProcessGroup>(store->store, rank, world);
    group->setDefaultBackend(ProcessGroup::BackendType::GLOO);
    group->setBackend(c10::DeviceType::CPU, ProcessGroup::BackendType::GLOO, gloo);
    if (nccl) {
      auto nccl_store = c10::make_intrusive<c10d::PrefixStore>("nccl", store->store);
      group->setBackend(c10::DeviceType::CUDA, ProcessGroup::BackendType::NCCL,
                        nccl_backend(nccl_store, rank, world, timeout));
    }
    *out = new Group{group};
  });
}

SHIM void shim_group_free(Group *group) { delete group; }

SHIM bool shim_group_all_reduce(Group *group, at::Tensor *sum) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{*sum};
    group->group->allreduce(tensors)->wait();
  });
}

SHIM bool shim_group_all_reduce_min(Group *group, at::Tensor *least) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{*least};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MIN;
    group->group->allreduce(tensors, options)->wait();
  });
}

SHIM bool shim_group_all_gather(Group *group, at::Tensor *rows, at::Tensor *all) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    group->group->_allgather_base(*all, *rows)->wait();
  });
}

// `parts` has a tensor per rank on the root and none elsewhere.
SHIM bool shim_group_gather(Group *group, at::Tensor *tensor, int root, at::Tensor *const *parts,
                            size_t len) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<std::vector<at::Tensor>> outputs;
    if (len > 0) outputs.push_back(list(parts, len));
    std::vector<at::Tensor> inputs{*tensor};
    c10d::GatherOptions options;
    options.rootRank = root;
    group->group->gather(outputs, inputs, options)->wait();
  });
}

SHIM bool shim_group_broadcast(Group *group, at::Tensor *tensor, int root, uint64_t timeout_ms) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = milliseconds(timeout_ms);
    group->group->broadcast(tensors, options)->wait();
  });
}

// Buckets are filled in the reverse order of `params`, which should be that of the forward pass.
SHIM bool shim_reducer_new(Group *group, at::Tensor *const *params, size_t len, bool bf16,
                           c10d::Reducer **out) {
  return guarded([&] {
    // DistributedDataParallel's sizes: a small first bucket, so that the exchange starts early.
    constexpr size_t kFirstBucket = 1 << 20, kBucket = 25 << 20;
    auto all = list(params, len);
    std::vector<bool> dense(len, false);
    // Buckets are assigned in backward order, so that the first to be ready comes first.
    std::vector<at::Tensor> backward(all.rbegin(), all.rend());
    auto [buckets, limits] =
        c10d::compute_bucket_assignment_by_size(backward, {kFirstBucket, kBucket}, dense);
    for (auto &bucket : buckets)
      for (auto &index : bucket) index = len - 1 - index;
    auto reducer = std::make_unique<c10d::Reducer>(
        all, buckets, group->group, dense, kBucket, /*find_unused_parameters=*/false,
        /*gradient_as_bucket_view=*/true, std::unordered_map<size_t, std::string>(), kFirstBucket,
        /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
        std::vector<int64_t>{});
    reducer->register_comm_hook(std::make_unique<SumHook>(group->group, bf16));
    *out = reducer.release();
  });
}

SHIM void shim_reducer_free(c10d::Reducer *reducer) { delete reducer; }

// After the first backward pass: buckets in the order in which the gradients came.
SHIM bool shim_reducer_settle(c10d::Reducer *reducer) {
  return guarded([&] { reducer->rebuild_buckets(); });
}

// The next backward pass over all parameters sums their gradients over the ranks.
SHIM bool shim_reducer_prepare(c10d::Reducer *reducer) {
  return guarded([&] {
    reducer->prepare_for_forward();
    reducer->prepare_for_backward(std::vector<at::Tensor>{});
  });
}
}
