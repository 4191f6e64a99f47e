// What the C++ files share: errors as a flag and a message, lists of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <exception>
#include <string>
#include <vector>

#define SHIM __attribute__((visibility("default")))

// The message of the last failure on this thread.
extern thread_local std::string shim_last_error;

// Runs body; false when it threw, with the message kept without the C++ backtrace.
template <typename F> bool guarded(F body) {
  try {
    body();
    return true;
  } catch (const c10::Error &e) {
    shim_last_error = e.what_without_backtrace();
  } catch (const std::exception &e) {
    shim_last_error = e.what();
  } catch (...) {
    shim_last_error = "unknown C++ exception";
  }
  return false;
}

inline std::vector<at::Tensor> list(at::Tensor *const *tensors, size_t len) {
  std::vector<at::Tensor> out;
  out.reserve(len);
  for (size_t i = 0; i < len; i++) out.push_back(*tensors[i]);
  return out;
}
