#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace lab::cacheapi {

// How a change that was committed elsewhere is told to L2 and to this process: Writer::Apply.
using ApplyChange =
    std::function<void(std::string_view brand, uint64_t version, absl::AnyInvocable<void(absl::Status)> done)>;

}  // namespace lab::cacheapi
