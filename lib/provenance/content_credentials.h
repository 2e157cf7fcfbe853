// C2PA manifests ("content credentials"): a signed statement inside a file of what made it, with a
// hash of all the rest of the file.
#pragma once

#include <string>
#include <vector>

#include "lib/provenance/signing_identity.h"

namespace sora {

struct CredentialSource {
  std::string name;  // as readers show it
  std::string path;  // read for its own credentials and hash where its container may hold some
  std::string sha256;
};

struct CredentialOrder {
  std::string output_path;    // its extension says what the file is
  std::string manifest_json;  // goes in as an assertion, byte for byte
  std::string program_version;
  bool has_sources = false;  // also where a pipe brought one that is not named below
  std::vector<CredentialSource> sources;
};

// Throws Error(Usage), in one sentence, for a container that holds none, such as .webm;
// Error(NotFound) as C2paLibrary.
void check_can_sign(const std::string& output_path);

// Puts the signed file in the place of `path`, which holds the finished clip under whatever name,
// and reads it back. Throws Error(Input) where the library refuses the identity or the file,
// Error(Io).
void sign_file(const std::string& path, const CredentialOrder& order,
               const SigningIdentity& identity);

enum class CredentialState {
  Absent,
  Valid,    // signed, and the file is as it was signed
  Changed,  // signed, and changed since
  Broken,   // the manifest itself does not hold
  Unread,   // the library is not here
};

struct CredentialReport {
  CredentialState state = CredentialState::Absent;
  std::string signer;                 // the certificate's owner
  bool is_trusted = false;            // it leads to one on the library's list of authorities
  bool is_generated = false;          // it says that a generator made it
  std::vector<std::string> problems;  // C2PA's codes, "assertion.dataHash.mismatch"
  std::string manifest_json;          // that of sign_file; empty: none
};

// Of a file of any kind. Throws Error(NotFound | Io) where it cannot be read at all.
CredentialReport read_credentials(const std::string& path);

}  // namespace sora
