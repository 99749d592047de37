#include "bench/run/knee_store.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_format.h"
#include "bench/model/archive.h"
#include "bench/model/knee_fields.h"
#include "bench/run/fingerprint.h"
#include "bench/run/host.h"
#include "bench/run/part_kind.h"
#include "bench/run/run_folder.h"
#include "bench/run/system.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using archive::Json;

constexpr char kSchema[] = "lab-knee/2";
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
  std::string all = kSchema;
  const Build build{options.root};
  std::vector<Settings> layers;
  for (const VariantSpec& variant : lab.variants) {
    if (variant.name == lab.reference) layers.push_back(variant.set);
  }
  layers.push_back(options.set);
  for (const PartSpec& part : lab.system) {
    const PartKind* kind = FindPartKind(part.kind.empty() ? part.name : part.kind);
    if (kind == nullptr) return absl::InvalidArgumentError(Concat("there is no part of the kind ", part.kind));
    const std::map<std::string, std::string> set = ConfigurationOf(part, layers);
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
    if (json.at("schema") != kSchema) return std::nullopt;
    Knee knee;
    archive::Reader::FromJson(json.at("knee"), knee);
    const bool is_a_rate = knee.per_s && *knee.per_s > 0 && *knee.per_s <= kMaxRate;
    if (!is_a_rate) return std::nullopt;
    knee.source = "kept";
    return knee;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void KeepKnee(const std::string& root, const std::string& key, const Knee& knee) {
  const Json json = {{"schema", kSchema}, {"knee", archive::Writer::ToJson(knee)}};
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
