#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/run/migrations.h"
#include "bench/run/postgres_programs.h"
#include "bench/run/seeds.h"

namespace lab::bench {

// Clusters that are made once and copied for each trial, because initdb and migrations take a second and a copy a tenth
// of it: <state>/postgres/<hash of all that they depend on>. In each there are the role `lab` (no superuser, owns all
// databases, enters from loopback without a password), the database `lab`, and those with a schema. The superuser
// `postgres` enters by the socket in the data folder only, which is its owner's.
struct ClusterSpec {
  PostgresPrograms programs;
  std::string version;  // PostgresVersion
  bool checksums = false;
  std::vector<Schema> schemas;
  std::vector<Seed> seeds;  // what their tables hold; with these a template is made anew each day (UTC)
};

using Tell = std::function<void(const std::string&)>;

// Fills a data folder, which is there and empty, with a copy, and gives it to ClusterOwner. Makes the template before,
// where there is none, and tells how large it is; two at once wait for each other (a lock beside it), and one that was
// broken off leaves nothing that is taken for whole. The newest four that were used are kept.
absl::Status MakeCluster(const ClusterSpec& spec, const std::string& state, const std::string& data_folder,
                         const Tell& tell);

// What all templates of a state folder take.
uint64_t TemplateBytes(const std::string& state);

}  // namespace lab::bench
