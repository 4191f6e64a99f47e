#pragma once

namespace gloo {
namespace transport {

class Device;

class UnboundBuffer {
public:
  ~UnboundBuffer();
};

} // namespace transport
} // namespace gloo
