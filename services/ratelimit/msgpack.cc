#include "services/ratelimit/msgpack.h"

#include <cstring>

namespace lab::ratelimit {

namespace {

constexpr size_t kHeader = 5;  // array 32: 0xdd and a count of four bytes

template <typename T>
void AppendBig(T value, std::string& out) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

// A cursor over the bytes; `ok` turns false at the first read past the end.
struct Cursor {
  const unsigned char* at;
  const unsigned char* end;
  bool ok = true;

  template <typename T>
  T Big() {
    if (static_cast<size_t>(end - at) < sizeof(T)) {
      ok = false;
      return 0;
    }
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | *at++);
    return value;
  }

  template <typename To, typename From>
  double Float() {
    const From bits = Big<From>();
    To value;
    static_assert(sizeof(value) == sizeof(bits));
    std::memcpy(&value, &bits, sizeof(value));
    return static_cast<double>(value);
  }

  double Number() {
    const auto tag = Big<uint8_t>();
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return static_cast<int8_t>(tag);
    switch (tag) {
      case 0xca:
        return Float<float, uint32_t>();
      case 0xcb:
        return Float<double, uint64_t>();
      case 0xcc:
        return Big<uint8_t>();
      case 0xcd:
        return Big<uint16_t>();
      case 0xce:
        return Big<uint32_t>();
      case 0xcf:
        return static_cast<double>(Big<uint64_t>());
      case 0xd0:
        return static_cast<int8_t>(Big<uint8_t>());
      case 0xd1:
        return static_cast<int16_t>(Big<uint16_t>());
      case 0xd2:
        return static_cast<int32_t>(Big<uint32_t>());
      case 0xd3:
        return static_cast<double>(static_cast<int64_t>(Big<uint64_t>()));
      default:
        ok = false;
        return 0;
    }
  }

  size_t ArraySize() {
    const auto tag = Big<uint8_t>();
    if ((tag & 0xf0) == 0x90) return tag & 0x0f;
    if (tag == 0xdc) return Big<uint16_t>();
    if (tag == 0xdd) return Big<uint32_t>();
    ok = false;
    return 0;
  }
};

}  // namespace

NumberWriter::NumberWriter() { Clear(); }

void NumberWriter::Clear() {
  bytes_.assign(kHeader, '\xdd');
  count_ = 0;
}

void NumberWriter::Add(uint64_t value) {
  ++count_;
  if (value < 0x80) {
    bytes_.push_back(static_cast<char>(value));
  } else if (value <= UINT16_MAX) {
    bytes_.push_back('\xcd');
    AppendBig(static_cast<uint16_t>(value), bytes_);
  } else if (value <= UINT32_MAX) {
    bytes_.push_back('\xce');
    AppendBig(static_cast<uint32_t>(value), bytes_);
  } else {
    bytes_.push_back('\xcf');
    AppendBig(value, bytes_);
  }
}

std::string_view NumberWriter::Finish() {
  std::string header;
  AppendBig(static_cast<uint32_t>(count_), header);
  bytes_.replace(1, header.size(), header);
  return bytes_;
}

bool ReadNumbers(std::string_view bytes, std::vector<double>& out) {
  const auto* begin = reinterpret_cast<const unsigned char*>(bytes.data());
  Cursor cursor{begin, begin + bytes.size()};
  const size_t size = cursor.ArraySize();
  if (!cursor.ok || size > bytes.size()) return false;
  out.clear();
  for (size_t i = 0; i < size && cursor.ok; ++i) out.push_back(cursor.Number());
  return cursor.ok && cursor.at == cursor.end;
}

}  // namespace lab::ratelimit
