// The door to c2pa's C library (libc2pa_c.so), which is opened when something is to be signed or a
// signature read, and not before: a machine without it makes clips as well. scripts/get-c2pa brings
// it. The prototypes are those of c2pa-rs 0.38's C interface.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

namespace sora {

struct C2paBuilder;
struct C2paReader;
struct C2paSigner;
struct C2paStream;

struct C2paSignerInfo {
  const char* algorithm;
  const char* certificates;   // PEM, the signer's own first
  const char* private_key;    // PEM, PKCS 8
  const char* timestamp_url;  // null: none
};

// What one release of the library offers.
struct C2paFunctions {
  using Read = intptr_t (*)(void* file, uint8_t* data, intptr_t size);
  using Seek = intptr_t (*)(void* file, intptr_t offset, int whence);
  using Write = intptr_t (*)(void* file, const uint8_t* data, intptr_t size);
  using Flush = intptr_t (*)(void* file);

  char* (*version)();
  char* (*error)();
  void (*string_free)(char* text);
  C2paStream* (*create_stream)(void* file, Read read, Seek seek, Write write, Flush flush);
  void (*release_stream)(C2paStream* stream);
  C2paBuilder* (*builder_from_json)(const char* definition);
  void (*builder_free)(C2paBuilder* builder);
  int (*builder_add_ingredient)(C2paBuilder* builder, const char* json, const char* format,
                                C2paStream* source);
  int64_t (*builder_sign)(C2paBuilder* builder, const char* format, C2paStream* source,
                          C2paStream* signed_file, C2paSigner* signer, const uint8_t** manifest);
  void (*manifest_bytes_free)(const uint8_t* manifest);
  C2paSigner* (*signer_from_info)(const C2paSignerInfo* info);
  void (*signer_free)(C2paSigner* signer);
  C2paReader* (*reader_from_stream)(const char* format, C2paStream* source);
  char* (*reader_json)(C2paReader* reader);
  void (*reader_free)(C2paReader* reader);
};

class C2paLibrary {
 public:
  // Opens it the first time: $SORA_C2PA, else the one that scripts/get-c2pa brought, else the
  // system's. Throws Error(NotFound) with the way to get it.
  static const C2paLibrary& get();
  static bool is_here();

  const C2paFunctions* operator->() const { return &functions_; }
  std::string version() const { return taken(functions_.version()); }
  std::string error() const { return taken(functions_.error()); }
  // The text of the library's own string, which is given back to it.
  std::string taken(char* text) const;

 private:
  C2paLibrary();

  C2paFunctions functions_ = {};
};

// A file as the library reads and writes it.
class C2paFile {
 public:
  // `mode` as fopen's. Throws Error(Io).
  C2paFile(const std::string& path, const char* mode);
  ~C2paFile();
  C2paFile(const C2paFile&) = delete;
  C2paFile& operator=(const C2paFile&) = delete;

  C2paStream* stream() const { return stream_; }
  void sync();  // on the disk; throws Error(Io)

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  C2paStream* stream_ = nullptr;
};

// The media type that the library knows a file by, from its extension; empty where it writes no
// such file.
std::string c2pa_format(const std::string& path);

}  // namespace sora
