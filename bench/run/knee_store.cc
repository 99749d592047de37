#include "bench/run/knee_store.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "bench/run/fingerprint.h"
#include "bench/run/host.h"
#include "bench/run/part_kind.h"
#include "bench/run/run_folder.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kKept = 50;
constexpr size_t kKeyDigits = 16;

// Every text with its length, so that no two lists of texts are the same.
void Add(std::string& all, const std::string& text) { all += Concat(text.size(), ":", text, ";"); }

void Add(std::string& all, const std::map<std::string, std::string>& texts) {
  Add(all, std::to_string(texts.size()));
  for (const auto& [key, value] : texts) {
    Add(all, key);
    Add(all, value);
  }
}

std::map<std::string, std::string> Configured(const Lab& lab, const PartSpec& part, const RunOptions& options) {
  std::map<std::string, std::string> set = part.set;
  const auto over = [&](const std::map<std::string, std::map<std::string, std::string>>& settings) {
    const auto found = settings.find(part.name);
    if (found == settings.end()) return;
    for (const auto& [key, value] : found->second) set[key] = value;
  };
  for (const VariantSpec& variant : lab.variants) {
    if (variant.name == lab.reference) over(variant.set);
  }
  over(options.set);
  return set;
}

void AddLoad(std::string& all, const LoadSpec& load) {
  Add(all,
      Concat(load.target, " ", static_cast<int>(load.arrivals), " ", load.max_in_flight, " ", load.timeout.count()));
  Add(all, Concat(static_cast<int>(load.keys.kind), " ", load.keys.count, " ", load.keys.exponent, " ",
                  load.keys.hot_share));
  Add(all, Concat(load.rate.of_knee));
  for (const auto& [phase, share] : load.rate.of_knee_by_phase) Add(all, Concat(phase, " ", share));
  Add(all, load.request);
  for (const auto& [lane, request] : load.lanes) {
    Add(all, lane);
    Add(all, request);
  }
}

std::string FileOf(const std::string& root, const std::string& key) {
  return Concat(StateFolder(root), "/knees/", key, ".json");
}

}  // namespace

std::string ObjectiveText(const KneeSpec& knee) {
  return absl::StrFormat("p99 <= %s, errors <= %g %%", FormatDuration(knee.p99), knee.errors * 100);
}

absl::StatusOr<std::string> KneeKey(const Lab& lab, const RunOptions& options) {
  std::string all = "lab-knee/1";
  const Build build{options.root};
  for (const PartSpec& part : lab.system) {
    const PartKind* kind = FindPartKind(part.kind.empty() ? part.name : part.kind);
    if (kind == nullptr) return absl::InvalidArgumentError(Concat("there is no part of the kind ", part.kind));
    const std::map<std::string, std::string> set = Configured(lab, part, options);
    const absl::StatusOr<std::string> program = kind->Program(build, set);
    if (!program.ok()) return program.status();
    Add(all, Concat(part.name, " ", part.replicas, " ", *program, " ", part.disk_bytes));
    Add(all, set);
    Add(all, part.files);
  }
  for (const LinkSpec& link : lab.links) {
    const absl::StatusOr<std::string> proxy = FileSha256(build.ProxyBinary());
    if (!proxy.ok()) return proxy.status();
    Add(all, Concat(link.name(), " ", *proxy));
  }
  Add(all, lab.private_network ? "private" : "host");
  for (const LoadSpec& load : lab.load) {
    if (UsesKnee(load)) AddLoad(all, load);
  }
  for (const VariantSpec& variant : lab.variants) {
    if (variant.name != lab.reference) continue;
    for (const auto& [load, fields] : variant.request) {
      Add(all, load);
      Add(all, fields);
    }
  }
  Add(all, ObjectiveText(lab.knee.value_or(KneeSpec())));
  Add(all, DescribeHost());
  return Sha256(all).substr(0, kKeyDigits);
}

std::optional<Knee> KeptKnee(const std::string& root, const std::string& key) {
  const absl::StatusOr<std::string> text = ReadFile(FileOf(root, key));
  if (!text.ok()) return std::nullopt;
  try {
    const Json json = Json::parse(*text);
    if (json.at("schema") != "lab-knee/1") return std::nullopt;
    Knee knee;
    knee.variant = json.at("variant");
    knee.objective = json.at("objective");
    knee.per_s = json.at("per_s").get<double>();
    knee.at_least = json.at("at_least");
    knee.found = json.at("found");
    knee.took_s = json.at("took_s");
    knee.source = "kept";
    for (const Json& one : json.at("probes")) {
      KneeProbe probe;
      probe.purpose = one.at("purpose");
      probe.rate_per_s = one.at("rate_per_s");
      probe.seconds = one.at("seconds");
      probe.meets = one.at("meets");
      probe.p99_s = one.at("p99_s");
      probe.error_ratio = one.at("error_ratio");
      probe.achieved_per_s = one.at("achieved_per_s");
      probe.samples = one.at("samples");
      knee.probes.push_back(std::move(probe));
    }
    return knee;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void KeepKnee(const std::string& root, const std::string& key, const Knee& knee) {
  Json json = {{"schema", "lab-knee/1"}, {"variant", knee.variant},   {"objective", knee.objective},
               {"per_s", *knee.per_s},   {"at_least", knee.at_least}, {"found", knee.found},
               {"took_s", knee.took_s},  {"probes", Json::array()}};
  for (const KneeProbe& probe : knee.probes) {
    json["probes"].push_back({{"purpose", probe.purpose},
                              {"rate_per_s", probe.rate_per_s},
                              {"seconds", probe.seconds},
                              {"meets", probe.meets},
                              {"p99_s", probe.p99_s},
                              {"error_ratio", probe.error_ratio},
                              {"achieved_per_s", probe.achieved_per_s},
                              {"samples", probe.samples}});
  }
  const std::string file = FileOf(root, key);
  std::error_code ignored;
  const fs::path folder = fs::path(file).parent_path();
  fs::create_directories(folder, ignored);
  if (!WriteFileAtomic(file, json.dump(1) + "\n").ok()) return;
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    kept.emplace_back(entry.last_write_time(ignored), entry.path());
  }
  std::sort(kept.rbegin(), kept.rend());
  for (size_t i = kKept; i < kept.size(); ++i) fs::remove(kept[i].second, ignored);
}

}  // namespace lab::bench
