#include "bench/run/seeds.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr std::chrono::minutes kFilling{5};
constexpr std::chrono::seconds kAnswer{10};

struct Parameter {
  std::string name;
  double value = 0, low = 0, high = 0;
};

bool IsNameByte(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// "-- :brands = 1000 (1 … 1000000) doc"; false for any other line.
bool ReadParameter(std::string_view line, Parameter* parameter) {
  const auto take = [&line](std::string_view text) {
    if (line.substr(0, text.size()) != text) return false;
    line.remove_prefix(text.size());
    return true;
  };
  const auto number = [&line](std::string_view end, double* value) {
    const size_t at = line.find(end);
    if (at == std::string_view::npos || !absl::SimpleAtod(View(line.substr(0, at)), value)) return false;
    line.remove_prefix(at + end.size());
    return true;
  };
  if (!take("-- :")) return false;
  while (!line.empty() && IsNameByte(line[0])) {
    parameter->name += line[0];
    line.remove_prefix(1);
  }
  return take(" = ") && number(" (", &parameter->value) && number(" … ", &parameter->low) &&
         number(")", &parameter->high);
}

std::string Number(double value) {
  return value == static_cast<double>(static_cast<int64_t>(value)) ? std::to_string(static_cast<int64_t>(value))
                                                                   : absl::StrFormat("%g", value);
}

using Given = std::vector<std::pair<std::string, double>>;

struct Call {
  std::string database;
  Given given;
};

absl::Status Wrong(std::string_view text) {
  return absl::InvalidArgumentError(
      Concat("seed: \"", text.substr(0, 60), "\" is not written as insights(brands=1000, posts=200000)"));
}

// "brands=1000, posts=5".
absl::Status ReadArguments(std::string_view text, Given* given) {
  for (const absl::string_view word : absl::StrSplit(View(text), ',', absl::SkipWhitespace())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
    double value = 0;
    if (!absl::SimpleAtod(pair.second, &value)) return Wrong(text);
    given->emplace_back(std::string(absl::StripAsciiWhitespace(pair.first)), value);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Call>> ReadCalls(std::string_view text) {
  std::vector<Call> calls;
  const auto skip = [&text](std::string_view bytes) {
    text.remove_prefix(std::min(text.find_first_not_of(bytes), text.size()));
  };
  for (skip(" ,"); !text.empty(); skip(" ,")) {
    const size_t open = text.find('('), close = text.find(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return Wrong(text);
    Call call{std::string(absl::StripAsciiWhitespace(View(text.substr(0, open)))), {}};
    if (absl::Status read = ReadArguments(text.substr(open + 1, close - open - 1), &call.given); !read.ok())
      return read;
    calls.push_back(std::move(call));
    text.remove_prefix(close + 1);
  }
  return calls;
}

absl::StatusOr<std::vector<Parameter>> Declared(const std::string& sql, const Given& given) {
  std::vector<Parameter> parameters;
  std::vector<std::string> names;
  for (const absl::string_view line : absl::StrSplit(sql, '\n')) {
    Parameter parameter;
    if (!ReadParameter(std::string_view(line.data(), line.size()), &parameter)) continue;
    names.push_back(parameter.name);
    parameters.push_back(std::move(parameter));
  }
  for (const auto& [name, value] : given) {
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&name = name](const Parameter& each) { return each.name == name; });
    if (found == parameters.end()) {
      return absl::InvalidArgumentError(Concat("there is no parameter \"", name, "\"", Suggestion(name, names)));
    }
    if (!(value >= found->low && value <= found->high)) {
      return absl::InvalidArgumentError(
          Concat(name, "=", Number(value), " is not from ", Number(found->low), " to ", Number(found->high)));
    }
    found->value = value;
  }
  return parameters;
}

}  // namespace

absl::StatusOr<std::string> FillSeed(const std::string& sql, const Given& given, std::string* call) {
  const absl::StatusOr<std::vector<Parameter>> parameters = Declared(sql, given);
  if (!parameters.ok()) return parameters.status();
  std::string filled;
  for (size_t at = 0; at < sql.size();) {
    const bool cast = at > 0 && sql[at - 1] == ':';
    size_t end = at + 1;
    while (sql[at] == ':' && !cast && end < sql.size() && IsNameByte(sql[end])) ++end;
    const std::string name = sql.substr(at + 1, end - at - 1);
    const auto found = std::find_if(parameters->begin(), parameters->end(),
                                    [&](const Parameter& each) { return !name.empty() && each.name == name; });
    filled += found == parameters->end() ? sql.substr(at, end - at) : Number(found->value);
    at = end;
  }
  *call = absl::StrJoin(*parameters, ", ", [](std::string* out, const Parameter& each) {
    *out += Concat(each.name, "=", Number(each.value));
  });
  return filled;
}

absl::StatusOr<std::vector<Seed>> ReadSeeds(const std::string& root, const std::string& text,
                                            const std::vector<Schema>& schemas) {
  const absl::StatusOr<std::vector<Call>> calls = ReadCalls(text);
  if (!calls.ok()) return calls.status();
  std::vector<Seed> seeds;
  for (const Call& call : *calls) {
    const auto schema = std::find_if(schemas.begin(), schemas.end(),
                                     [&](const Schema& each) { return each.database == call.database; });
    if (schema == schemas.end()) {
      return absl::InvalidArgumentError(
          Concat("seed: write databases: ", call.database, " too, which gives it its tables"));
    }
    Seed seed;
    seed.database = call.database;
    seed.file = Concat("deploy/sql/", call.database, "/", kSeedFile);
    const absl::StatusOr<std::string> sql = ReadFile(Concat(root, "/", seed.file));
    if (!sql.ok()) return absl::NotFoundError(Concat("seed: there is no ", seed.file));
    std::string arguments;
    absl::StatusOr<std::string> filled = FillSeed(*sql, call.given, &arguments);
    if (!filled.ok()) return absl::Status(filled.status().code(), Concat("seed: ", filled.status().message()));
    seed.call = Concat(call.database, "(", arguments, ")");
    seed.sql = *std::move(filled);
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

absl::Status ApplySeed(const Seed& seed, PgConnection& connection) {
  if (const absl::Status filled = connection.Query(seed.sql, kFilling).status(); !filled.ok()) {
    return absl::Status(filled.code(),
                        Concat(seed.file, ":", LineOf(seed.sql, PlaceOf(filled)), ": ", filled.message()));
  }
  const absl::StatusOr<PgReply> tables =
      connection.Query("SELECT quote_ident(tablename) FROM pg_tables WHERE tableowner = current_user", kAnswer);
  if (!tables.ok()) return tables.status();
  const std::string list = absl::StrJoin(
      tables->rows, ", ", [](std::string* out, const std::vector<std::string>& row) { *out += row.at(0); });
  if (list.empty()) return absl::OkStatus();
  return connection.Query(Concat("VACUUM (FREEZE, ANALYZE) ", list), kFilling).status();
}

int64_t SeedDay() {
  return std::chrono::duration_cast<std::chrono::hours>(std::chrono::system_clock::now().time_since_epoch()).count() /
         24;
}

}  // namespace lab::bench
