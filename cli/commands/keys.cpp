// sora keys new: an identity of one's own for --sign.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct KeysOptions {
  NewIdentity identity;
  Display display;
};

}  // namespace

void add_keys(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<KeysOptions>();
  CLI::App* cmd = app.add_subcommand("keys", "Identities that sign clips");
  cmd->footer("Examples:\n  sora keys new\n  sora keys new studio --owner \"Studio Ltd\"");
  cmd->require_subcommand(1);
  CLI::App* make =
      cmd->add_subcommand("new", "Make a key with its certificates, in ~/.config/sora/keys");
  make->footer("Example:\n  sora keys new studio --owner \"Studio Ltd\"");
  make->add_option("name", options->identity.name, "What --identity calls it")
      ->type_name("NAME")
      ->capture_default_str();
  make->add_option("--owner", options->identity.owner, "Name that readers of a signature are shown")
      ->type_name("TEXT")
      ->capture_default_str();
  add_display_options(*make, options->display);
  make->final_callback([options, &chosen] {
    chosen.action = options->identity;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
