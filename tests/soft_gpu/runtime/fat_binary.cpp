// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/fat_binary.h"

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/error.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::uint32_t kWrapperMagic = 0x466243b1, kMagic = 0xba55ed50;

struct Wrapper {
  std::uint32_t magic, version;
  const char* data;
  const void* unused;
};

struct FileHeader {
  std::uint32_t magic;
  std::uint16_t version, header_bytes;
  std::uint64_t bytes;  // of the entries after it
};

struct EntryHeader {
  enum Kind : std::uint16_t { kPtx = 1, kElf = 2 };
  std::uint16_t kind, version;
  std::uint32_t header_bytes;
  std::uint64_t bytes;
};

template <class T>
T read_at(std::string_view bytes, std::size_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) throw RuntimeError("device code is cut off");
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view text_at(std::string_view strings, std::size_t offset) {
  return strings.substr(offset, strings.find('\0', offset) - offset);
}

// The sections of a cubin by name.
std::map<std::string_view, std::string_view> sections_of(std::string_view elf) {
  const auto header = read_at<Elf64_Ehdr>(elf, 0);
  const auto section = [&](std::size_t i) { return read_at<Elf64_Shdr>(elf, header.e_shoff + i * sizeof(Elf64_Shdr)); };
  const Elf64_Shdr names = section(header.e_shstrndx);
  std::map<std::string_view, std::string_view> found;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr s = section(i);
    if (s.sh_type != SHT_NOBITS) found[text_at(elf, names.sh_offset + s.sh_name)] = elf.substr(s.sh_offset, s.sh_size);
  }
  return found;
}

// .nv.info: records of form, attribute and size; a record of form 4 is followed by `size` bytes.
void read_registers(std::string_view elf, std::map<std::string, int, std::less<>>& registers) {
  constexpr std::uint8_t kSized = 4, kRegisterCount = 0x2f;
  auto sections = sections_of(elf);
  const std::string_view info = sections[".nv.info"], symbols = sections[".symtab"], strings = sections[".strtab"];
  for (std::size_t at = 0; at + 4 <= info.size();) {
    const auto form = read_at<std::uint8_t>(info, at), attribute = read_at<std::uint8_t>(info, at + 1);
    const auto size = form == kSized ? read_at<std::uint16_t>(info, at + 2) : std::uint16_t{0};
    if (form == kSized && attribute == kRegisterCount) {
      const auto symbol = read_at<Elf64_Sym>(symbols, read_at<std::uint32_t>(info, at + 4) * sizeof(Elf64_Sym));
      registers.emplace(text_at(strings, symbol.st_name), static_cast<int>(read_at<std::uint32_t>(info, at + 8)));
    }
    at += 4u + size;
  }
}

}  // namespace

FatBinary read_fat_binary(const void* wrapper) {
  Wrapper w;
  std::memcpy(&w, wrapper, sizeof w);
  if (w.magic != kWrapperMagic) throw RuntimeError("device code in a form that this program does not know");
  FileHeader file;
  std::memcpy(&file, w.data, sizeof file);
  if (file.magic != kMagic) throw RuntimeError("device code in a form that this program does not know");
  const std::string_view entries(w.data + file.header_bytes, file.bytes);
  FatBinary binary;
  for (std::size_t at = 0; at < entries.size();) {
    const auto entry = read_at<EntryHeader>(entries, at);
    const std::string_view contents = entries.substr(at + entry.header_bytes, entry.bytes);
    if (entry.kind == EntryHeader::kPtx) binary.ptx = text_at(contents, 0);
    if (entry.kind == EntryHeader::kElf && contents.starts_with("\x7f"
                                                                "ELF"))
      read_registers(contents, binary.registers);
    at += entry.header_bytes + entry.bytes;
  }
  if (binary.ptx.substr(0, 4000).find(".version") == std::string_view::npos) {
    throw RuntimeError("device code without plain PTX: build with --no-compress");
  }
  return binary;
}

}  // namespace stampede::soft_gpu
