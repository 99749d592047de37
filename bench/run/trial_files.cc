#include "bench/run/trial_files.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kBuffer = 1 << 20;
constexpr char kDiskFull[] = "lab/disk-full";

absl::Status Marked(absl::Status status) {
  status.SetPayload(kDiskFull, absl::Cord());
  return status;
}

const char* NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kUnknown:
      return "unknown";
    case Outcome::kDropped:
      return "dropped";
  }
  return "?";
}

const char* NameOf(Answer answer) {
  switch (answer) {
    case Answer::kNone:
      return "";
    case Answer::kAdmitted:
      return "admitted";
    case Answer::kLimited:
      return "limited";
    case Answer::kHitLocal:
      return "l1";
    case Answer::kHitShared:
      return "l2";
    case Answer::kMiss:
      return "miss";
    case Answer::kStale:
      return "stale";
    case Answer::kCoalesced:
      return "coalesced";
    case Answer::kWritten:
      return "written";
    case Answer::kQueued:
      return "queued";
  }
  return "?";
}

const char* NameOf(Ask ask) {
  switch (ask) {
    case Ask::kRead:
      return "read";
    case Ask::kWrite:
      return "write";
    case Ask::kMissing:
      return "missing";
  }
  return "?";
}

// Lines to a file through a large buffer; the first error stays.
class Lines {
 public:
  explicit Lines(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "we"), &std::fclose) {
    if (!file_) error_ = errno;
    buffer_.reserve(kBuffer + 4096);
  }
  Lines& operator<<(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kBuffer) Flush();
    return *this;
  }
  Lines& operator<<(int64_t number) {
    char digits[24];
    return *this << std::string_view(digits,
                                     static_cast<size_t>(std::to_chars(digits, digits + 24, number).ptr - digits));
  }
  absl::Status Close() {
    Flush();
    if (file_ && std::fclose(file_.release()) != 0 && error_ == 0) error_ = errno;
    if (error_ == 0) return absl::OkStatus();
    const std::string text = Concat("cannot write ", path_, ": ", std::strerror(error_));
    if (error_ != ENOSPC && error_ != EDQUOT) return absl::UnavailableError(text);
    return Marked(absl::ResourceExhaustedError(text));
  }

 private:
  void Flush() {
    if (file_ && error_ == 0 && std::fwrite(buffer_.data(), 1, buffer_.size(), file_.get()) != buffer_.size())
      error_ = errno;
    buffer_.clear();
  }

  const std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string buffer_;
  int error_ = 0;
};

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

absl::Status WriteOps(const Trial& trial, const std::string& path) {
  Lines lines(path);
  lines << "stream,key,intended_us,sent_us,done_us,outcome,answer,code,ask,session,version,attempts\n";
  for (const Op& op : trial.ops) {
    lines << (op.stream < trial.streams.size() ? std::string_view(trial.streams[op.stream].name) : "?") << ","
          << int64_t{op.key} << "," << op.intended_ns / 1000 << "," << op.sent_ns / 1000 << "," << op.done_ns / 1000
          << "," << NameOf(op.outcome) << "," << NameOf(op.answer) << "," << int64_t{op.code} << "," << NameOf(op.ask)
          << "," << int64_t{op.session} << "," << int64_t{op.version} << "," << int64_t{op.attempts} << "\n";
  }
  return lines.Close();
}

absl::Status WriteSeries(const Trial& trial, const std::string& path) {
  Lines lines(path);
  lines << "part,name,labels,at_s,value\n";
  for (const Series& series : trial.series) {
    std::string labels;
    for (const auto& [name, value] : series.labels) labels += Concat(labels.empty() ? "" : ",", name, "=", value);
    for (const auto& [at_s, value] : series.samples) {
      lines << series.part << "," << series.name << "," << Quoted(labels) << "," << JsonNumber(at_s) << ","
            << JsonNumber(value) << "\n";
    }
  }
  return lines.Close();
}

absl::Status WriteAtRest(const Trial& trial, const std::string& path) {
  Lines lines(path);
  lines << "place,key,there,version,how\n";
  for (const RestRead& read : trial.at_rest->reads) {
    lines << read.place << "," << read.key << "," << static_cast<int64_t>(read.there) << ","
          << static_cast<int64_t>(read.version) << "," << NameOf(read.how) << "\n";
  }
  return lines.Close();
}

std::string FaultsJson(const Trial& trial) {
  const auto time = [](const std::optional<double>& at_s) { return at_s ? JsonNumber(*at_s) : std::string("null"); };
  std::string text = "[";
  for (const FaultRecord& fault : trial.faults) {
    text += Concat(text.size() > 1 ? ",\n " : "\n ", "{\"id\":", JsonString(fault.id),
                   ",\"fault\":", JsonString(fault.fault), ",\"part\":", JsonString(fault.part),
                   ",\"phase\":", JsonString(fault.phase), ",\"asked_s\":", JsonNumber(fault.asked_s),
                   ",\"applied_s\":", time(fault.applied_s), ",\"seen_s\":", time(fault.seen_s),
                   ",\"evidence\":", JsonString(fault.evidence), ",\"heal_asked_s\":", time(fault.heal_asked_s),
                   ",\"healed_s\":", time(fault.healed_s), ",\"error\":", JsonString(fault.error), "}");
  }
  return text + "\n]\n";
}

}  // namespace

absl::Status WriteTrialFiles(const Trial& trial, const std::string& folder) {
  absl::Status status = WriteOps(trial, folder + "/ops.csv");
  status.Update(WriteSeries(trial, folder + "/series.csv"));
  if (trial.at_rest) status.Update(WriteAtRest(trial, folder + "/at_rest.csv"));
  absl::Status faults = WriteFileAtomic(folder + "/faults.json", FaultsJson(trial));
  if (absl::IsResourceExhausted(faults)) faults = Marked(std::move(faults));  // which it is for a full disk only
  status.Update(faults);
  return status;
}

bool IsDiskFull(const absl::Status& status) { return status.GetPayload(kDiskFull).has_value(); }

}  // namespace lab::bench
