// Who signs: a private key and the certificates that lead to it, as two files NAME.key and NAME.pem
// in
// ~/.config/sora/keys.
#pragma once

#include <filesystem>
#include <string>

#include "lib/export.h"

namespace sora {

struct SigningIdentity {
  std::string name;
  std::string certificates;  // PEM, the signer's own first
  std::string private_key;   // PEM, PKCS 8, ECDSA on P-256 (ES256)
};

// $XDG_CONFIG_HOME/sora/keys or ~/.config/sora/keys. Throws Error(NotFound) where neither variable
// is set.
std::filesystem::path identities_folder();

// A key and two certificates: one that speaks for itself alone, and the signer's, which it vouches
// for; C2PA takes no certificate that vouches for itself as a signer's. `owner` is the name that
// readers show, of 1 to 57 characters. The key file's mode is 0600. Returns the key's path. Throws
// Error(Usage) for a name that is no file name or is taken and for another owner, Error(Io).
std::filesystem::path new_identity(const std::string& name, const std::string& owner);

// Throws Error(NotFound) with the way to make one, Error(Input) where others may read the key.
SigningIdentity read_identity(const std::string& name);

}  // namespace sora
