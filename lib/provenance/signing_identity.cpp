#include "lib/provenance/signing_identity.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/utf8.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;
constexpr long kClockSkewSeconds = 24L * 3600;

template <typename T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;

void check(bool done, const char* what) {
  if (!done) fail(ErrorKind::Internal, "OpenSSL did not {}", what);
}

void add_extension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  check(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1,
        "write an extension of the certificate");
  X509_EXTENSION_free(extension);
}

// Of `key`, signed by `issuer_key`; issuer null: by itself.
Certificate make_certificate(EVP_PKEY* key, const std::string& owner,
                             const std::string& common_name, X509* issuer, EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new());
  check(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1,
        "make a certificate");
  unsigned char serial[16] = {};
  check(RAND_bytes(serial, sizeof serial) == 1, "draw a serial number");
  serial[0] &= 0x7F;
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kClockSkewSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto add = [&](const char* field, const std::string& value) {
    check(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), -1, 0) == 1,
          "take the owner's name");
  };
  add("O", owner);
  add("CN", common_name);
  X509* const signer = issuer ? issuer : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  add_extension(certificate.get(), signer, NID_basic_constraints,
                issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
  add_extension(certificate.get(), signer, NID_key_usage,
                issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
  if (issuer) add_extension(certificate.get(), signer, NID_ext_key_usage, "emailProtection");
  add_extension(certificate.get(), signer, NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), signer, NID_authority_key_identifier, "keyid:always");
  check(X509_sign(certificate.get(), issuer_key, EVP_sha256()) > 0, "sign a certificate");
  return certificate;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

void write_new(const fs::path& path, const std::string& text, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  const bool written = fd >= 0 &&
                       ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!written)
    fail(ErrorKind::Io, "{} cannot be written: {}", path.string(), std::strerror(error));
}

void check_name(const std::string& name) {
  if (name.empty() || name.size() > 100 || name[0] == '.' ||
      name.find_first_of("/\\\n") != name.npos)
    fail(ErrorKind::Usage, "'{}' cannot name an identity; use letters and digits", name);
}

// The root's name is the owner's with kRootMark, and X.509 takes at most 64 characters (RFC 5280,
// ub-common-name).
constexpr char kRootMark[] = " (root)";
constexpr int64_t kMaxOwner = 57;

void check_owner(const std::string& owner) {
  const bool is_text = is_valid_utf8(owner);
  const int64_t length = std::count_if(owner.begin(), owner.end(),
                                       [](char byte) { return !is_utf8_continuation(byte); });
  if (!is_text || length < 1 || length > kMaxOwner) {
    fail(ErrorKind::Usage, "--owner '{}' {}; a certificate takes a name of 1 to {} characters",
         owner, is_text ? fmt::format("has {} characters", length) : "is not UTF-8", kMaxOwner);
  }
}

}  // namespace

fs::path identities_folder() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config)
    return fs::path(config) / "sora" / "keys";
  if (const char* home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".config" / "sora" / "keys";
  fail(ErrorKind::NotFound, "there is no place for keys: set $HOME or $XDG_CONFIG_HOME");
}

fs::path new_identity(const std::string& name, const std::string& owner) {
  check_name(name);
  check_owner(owner);
  const fs::path folder = identities_folder();
  const fs::path key_path = folder / (name + ".key"), certificate_path = folder / (name + ".pem");
  if (fs::exists(key_path) || fs::exists(certificate_path)) {
    fail(ErrorKind::Usage, "there is an identity '{}' already in {}; choose another name", name,
         folder.string());
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::Io, "{} cannot be made: {}", folder.string(), error.message());
  ::chmod(folder.c_str(), 0700);

  const Key root_key(EVP_EC_gen("P-256")), key(EVP_EC_gen("P-256"));
  check(root_key && key, "make a key");
  const Certificate root =
      make_certificate(root_key.get(), owner, owner + kRootMark, nullptr, root_key.get());
  const Certificate own = make_certificate(key.get(), owner, owner, root.get(), root_key.get());
  const Memory certificates(BIO_new(BIO_s_mem())), secret(BIO_new(BIO_s_mem()));
  check(PEM_write_bio_X509(certificates.get(), own.get()) == 1 &&
            PEM_write_bio_X509(certificates.get(), root.get()) == 1 &&
            PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                          nullptr) == 1,
        "write the key");
  write_new(key_path, text_of(secret.get()), 0600);
  write_new(certificate_path, text_of(certificates.get()), 0644);
  return key_path;  // the root's own key is let go: nothing else will ever be vouched for by it
}

SigningIdentity read_identity(const std::string& name) {
  check_name(name);
  const fs::path folder = identities_folder(), key_path = folder / (name + ".key");
  struct stat status {};
  if (::stat(key_path.c_str(), &status) != 0) {
    fail(ErrorKind::NotFound,
         "there is no identity '{}' to sign with in {}; make one with sora keys new{}", name,
         folder.string(), name == "default" ? "" : " " + name);
  }
  if (status.st_mode & 077) {
    fail(ErrorKind::Input,
         "{} can be read by others; chmod 600 it, or make a new one with sora keys new",
         key_path.string());
  }
  return {name, read_file(folder / (name + ".pem")), read_file(key_path)};
}

}  // namespace sora
