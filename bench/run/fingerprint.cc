#include "bench/run/fingerprint.h"

#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>

#include "absl/strings/escaping.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void Add(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string Finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), bytes.data(), &size);
    return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes.data()), size));
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::string Sha256(const std::string& text) {
  Digest digest;
  digest.Add(text.data(), text.size());
  return digest.Finish();
}

absl::StatusOr<std::string> FileSha256(const std::string& path) {
  using Known = std::pair<std::filesystem::file_time_type, std::string>;
  static std::mutex mutex;
  static std::map<std::string, Known> known;
  const std::lock_guard lock(mutex);
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(path, error);
  if (const auto found = known.find(path); !error && found != known.end() && found->second.first == changed) {
    return found->second.second;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(Concat("cannot read ", path));
  Digest digest;
  std::array<char, 1 << 16> buffer{};
  while (file.read(buffer.data(), buffer.size()) || file.gcount() > 0) {
    digest.Add(buffer.data(), static_cast<size_t>(file.gcount()));
  }
  const std::string sum = digest.Finish();
  known[path] = {changed, sum};
  return sum;
}

}  // namespace lab::bench
