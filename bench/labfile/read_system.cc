#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/numbers.h"
#include "bench/labfile/parsing.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using Knob = Catalogue::Knob;

constexpr int kMaxReplicas = 16;
constexpr char kBinary[] = "binary";

std::string Quoted(std::string_view text) { return Concat("\"", text.substr(0, 60), "\""); }

std::string WithoutSpaces(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c != ' ') result += c;
  }
  return result;
}

// The value on one scale with the bounds of its range: seconds for durations, bytes for sizes. Absent when it is no
// such value.
std::optional<double> OnScale(const std::string& type, std::string_view text) {
  if (type == "duration") {
    const absl::StatusOr<Quantity> duration = QuantityOf(WithoutSpaces(text));
    if (!duration.ok()) return std::nullopt;
    return duration->value;
  }
  if (type == "size") {
    const absl::StatusOr<Quantity> size = QuantityOf(WithoutSpaces(text));
    return size.ok() && size->unit.SameKind(Unit::Bytes()) ? std::optional(size->value) : std::nullopt;
  }
  double value = 0;
  if (!absl::SimpleAtod(WithoutSpaces(text), &value)) return std::nullopt;
  return value;
}

// Ranges are written "low … high" by the part itself. A bound in a form that is not understood here is left to the
// part's own check at start.
std::string RangeError(const Knob& knob, const std::string& value) {
  const std::string dots = "…";
  const size_t split = knob.range.find(dots);
  const std::optional<double> number = OnScale(knob.type, value);
  if (split == std::string::npos || !number) return "";
  const std::optional<double> low = OnScale(knob.type, knob.range.substr(0, split));
  const std::optional<double> high = OnScale(knob.type, knob.range.substr(split + dots.size()));
  if ((low && *number < *low) || (high && *number > *high)) {
    return Concat(Quoted(value), " is out of range; allowed: ", knob.range);
  }
  return "";
}

std::string TypeError(const Knob& knob, const std::string& value) {
  if (!knob.names.empty()) {
    if (std::find(knob.names.begin(), knob.names.end(), value) != knob.names.end()) return "";
    return Concat(Quoted(value), " is not one of its values", Suggestion(value, knob.names));
  }
  if (knob.type == "bool") {
    return value == "true" || value == "false" ? ""
                                               : Concat(Quoted(value), " is not a truth value; write true or false");
  }
  if (knob.type == "int") {
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number)) return Concat(Quoted(value), " is not a whole number");
  } else if (knob.type == "number") {
    if (!OnScale(knob.type, value)) return Concat(Quoted(value), " is not a number");
  } else if (knob.type == "duration") {
    const absl::StatusOr<Nanos> duration = ParseDuration(value);
    if (!duration.ok()) return std::string(duration.status().message());
  } else if (knob.type == "size") {
    if (!OnScale(knob.type, value)) return Concat(Quoted(value), " is not a size; write 64kb, 64mb or 1gb");
  }
  return RangeError(knob, value);
}

void Flatten(const yaml::Value& map, const std::string& prefix, int depth,
             std::vector<std::pair<std::string, yaml::Value>>& flat) {
  for (const auto& [key, value] : map.Entries()) {
    if (value.is_map() && depth < 8) {
      Flatten(value, prefix + key + ".", depth + 1, flat);
    } else if (value.is_scalar()) {
      flat.emplace_back(prefix + key, value);
    } else {
      value.Error("a single value is wanted here");
    }
  }
}

bool IsNotHere(const Catalogue& catalogue, const PartSpec& part) {
  return std::find(catalogue.not_here.begin(), catalogue.not_here.end(), part.kind) != catalogue.not_here.end();
}

std::string BinaryIn(const std::map<std::string, std::string>& set) {
  const auto found = set.find(kBinary);
  return found == set.end() ? "" : found->second;
}

// Programs are named from the lab file's folder, and kept with their whole path.
void ReadKnobs(const yaml::Value& set, const PartSpec& part, const Reading& reading,
               std::map<std::string, std::string>& knobs) {
  const auto flat = FlatScalars(set);
  std::string binary = BinaryIn(part.set);
  const std::string folder = std::filesystem::path(reading.lab.file).parent_path().string();
  for (const auto& [key, value] : flat) {
    if (key == kBinary) binary = BinaryPath(folder, value.raw());
  }
  for (const auto& [key, value] : flat) {
    const std::string text = key == kBinary ? binary : value.raw();
    const std::string error = KnobError(reading.catalogue, part, binary, key, text);
    if (!error.empty()) value.Error(error);
    if (!knobs.emplace(key, text).second) value.Error("is set twice");
  }
}

// "16mb"; tmpfs, so it is memory while it is used.
uint64_t ReadDisk(const yaml::Value& disk) {
  constexpr double kLeast = 1 << 20, kMost = 1 << 30;
  if (!disk.defined()) return 0;
  const absl::StatusOr<Quantity> size = QuantityOf(disk.String());
  if (size.ok() && size->unit.SameKind(Unit::Bytes()) && size->value >= kLeast && size->value <= kMost) {
    return static_cast<uint64_t>(size->value);
  }
  disk.Error(Concat(Quoted(disk.String()), " is no size between 1mb and 1gb, as 16mb"));
  return 0;
}

void ReadPart(const std::string& name, const yaml::Value& value, Reading& reading) {
  PartSpec part;
  part.name = name;
  part.line = value.line();
  CheckName(value, name, true);
  part.kind = value.Optional("kind").String(name);
  part.replicas = static_cast<int>(value.Optional("replicas").Int(1, kMaxReplicas, 1));
  part.disk_bytes = ReadDisk(value.Optional("disk"));
  std::vector<std::string> kinds = NamesOf(reading.catalogue.knobs, [](const auto& known) { return known.first; });
  kinds.insert(kinds.end(), reading.catalogue.not_here.begin(), reading.catalogue.not_here.end());
  const bool known = reading.catalogue.knobs.contains(part.kind) || IsNotHere(reading.catalogue, part);
  if (!known) {
    value.Error(Concat("unknown part ", Quoted(part.kind), Suggestion(part.kind, kinds)));
  }
  for (const auto& [file, text] : value.Optional("files").Entries()) {
    if (file.empty() || file.find('/') != std::string::npos || file[0] == '.') {
      text.Error("a file's name has no folder and does not begin with a dot");
    }
    part.files[file] = text.String();
  }
  const yaml::Value set = value.Optional("set");
  if (known) {
    ReadKnobs(set, part, reading, part.set);
  }
  value.Finish();
  reading.lab.system.push_back(std::move(part));
}

// One entry of a variant that is not one of its fixed keys: configuration of a part.
void ReadVariantPart(const std::string& name, const yaml::Value& value, Reading& reading, VariantSpec& variant) {
  const PartSpec* part = FindPart(reading.lab, name);
  if (part == nullptr) {
    std::vector<std::string> names = PartNames(reading.lab);
    names.insert(names.end(), {"control", "caught_by", "note", "request", "retries"});
    value.Error(Concat("unknown part or key ", Quoted(name), Suggestion(name, names)));
    return;
  }
  ReadKnobs(value, *part, reading, variant.set[name]);
}

void ReadVariant(const std::string& name, const yaml::Value& value, Reading& reading) {
  VariantSpec variant;
  variant.name = name;
  variant.line = value.line();
  CheckName(value, name, true);
  if (name == "each") value.Error("\"each\" stands for every variant; call this one differently");
  for (const auto& [key, entry] : value.Entries()) {
    if (key == "control") {
      variant.broken = true;
      entry.OneOf({"broken"}, 0);
    } else if (key == "caught_by") {
      variant.caught_by = entry.String();
    } else if (key == "note") {
      variant.note = entry.String();
    } else if (key == "request") {
      for (const auto& [load, fields] : entry.Entries()) {
        for (const auto& [field, text] : fields.Entries()) variant.request[load][field] = text.String();
      }
    } else if (key == "retries") {
      for (const auto& [load, retries] : entry.Entries()) variant.retries[load] = ReadRetries(retries);
    } else {
      ReadVariantPart(key, entry, reading, variant);
    }
  }
  reading.lab.variants.push_back(std::move(variant));
  reading.variant_places.push_back(value);
}

}  // namespace

std::vector<std::pair<std::string, yaml::Value>> FlatScalars(const yaml::Value& map) {
  std::vector<std::pair<std::string, yaml::Value>> flat;
  if (map.defined()) Flatten(map, "", 0, flat);
  return flat;
}

std::string KnobError(const Catalogue& catalogue, const PartSpec& part, const std::string& binary,
                      const std::string& key, const std::string& value) {
  const auto own = catalogue.knobs.find(part.kind);
  if (key == kBinary && binary.empty()) return "names no program";
  const bool foreign = !binary.empty() && catalogue.knobs_of_binary != nullptr;
  if (!foreign && IsNotHere(catalogue, part)) return "";
  if (const auto wired = catalogue.wired.find(part.kind);
      wired != catalogue.wired.end() && wired->second.contains(key)) {
    return Concat(Quoted(key), " of ", part.kind,
                  " is not to be set: the runner gives each part a free port and tells it where the others are");
  }
  if (!foreign && own == catalogue.knobs.end()) return Concat("unknown part ", Quoted(part.kind));
  std::vector<Knob> knobs;
  if (foreign) {
    absl::StatusOr<std::vector<Knob>> of_binary = catalogue.knobs_of_binary(part.kind, binary);
    if (key == kBinary) return std::string(of_binary.status().message());
    if (!of_binary.ok()) return "";  // told at the binary
    knobs = *std::move(of_binary);
  } else {
    knobs = own->second;
  }
  const auto knob =
      std::find_if(knobs.begin(), knobs.end(), [&](const Knob& candidate) { return candidate.path == key; });
  if (knob == knobs.end()) {
    const auto names = NamesOf(knobs, [](const Knob& candidate) { return candidate.path; });
    return Concat("unknown key ", Quoted(key), " of ",
                  foreign ? std::filesystem::path(binary).filename().string() : part.kind, Suggestion(key, names));
  }
  if (knob->type == "string" && !value.empty() && value[0] == '@' && !part.files.contains(value.substr(1))) {
    const auto names = NamesOf(part.files, [](const auto& file) { return "@" + file.first; });
    return Concat(Quoted(value), " names no file of this part", Suggestion(value, names));
  }
  return TypeError(*knob, value);
}

std::string BinaryPath(const std::string& folder, const std::string& binary) {
  const std::filesystem::path path(binary);
  if (binary.empty() || path.is_absolute()) return binary;
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(std::filesystem::path(folder) / path, error);
  return (error ? path : absolute).lexically_normal().string();
}

void ReadSystem(const yaml::Value& system, Reading& reading) {
  for (const auto& [name, value] : system.Entries()) ReadPart(name, value, reading);
  if (system.defined() && reading.lab.system.empty()) system.Error("names no part");
}

void ReadVariants(const yaml::Value& variants, Reading& reading) {
  for (const auto& [name, value] : variants.Entries()) ReadVariant(name, value, reading);
  if (variants.defined() && reading.lab.variants.empty()) variants.Error("names no variant");
}

absl::Status CheckSet(const Lab& lab, const Catalogue& catalogue, const std::string& part, const std::string& key,
                      const std::string& value, const std::string& binary) {
  const PartSpec* spec = FindPart(lab, part);
  if (spec == nullptr) {
    return absl::InvalidArgumentError(
        Concat("--set ", part, ".", key, ": unknown part ", Quoted(part), Suggestion(part, PartNames(lab))));
  }
  std::vector<std::string> binaries = {binary};
  if (binary.empty()) {
    binaries = {BinaryIn(spec->set)};
    for (const VariantSpec& variant : lab.variants) {
      const auto set = variant.set.find(part);
      if (set != variant.set.end() && set->second.contains(kBinary)) binaries.push_back(BinaryIn(set->second));
    }
  }
  for (const std::string& one : binaries) {
    const std::string error = KnobError(catalogue, *spec, one, key, value);
    if (!error.empty()) return absl::InvalidArgumentError(Concat("--set ", part, ".", key, ": ", error));
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
