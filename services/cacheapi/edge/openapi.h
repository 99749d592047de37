#pragma once

namespace lab::cacheapi {

// openapi.json, as the build has put it into the program.
extern const char kOpenApi[];

}  // namespace lab::cacheapi
