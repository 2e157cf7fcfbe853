// sora serve: the queue over HTTP, with the shapes of OpenAI's video API.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct ServeCommand {
  ServeVideos serve;
  Display display;
};

void check_options(const ServeVideos& serve) {
  if (serve.options.port < 0 || serve.options.port > 65535)
    fail(ErrorKind::Usage, "--port {} is out of range; it goes from 0 to 65535",
         serve.options.port);
  if (serve.processes < 0 || serve.processes > 64)
    fail(ErrorKind::Usage, "--jobs {} is out of range; it goes from 0 to 64", serve.processes);
  if (serve.max_waiting < 1)
    fail(ErrorKind::Usage, "--max-waiting {} is out of range; it goes from 1", serve.max_waiting);
  if (!serve.new_token.empty() && serve.options.token_file.empty())
    fail(ErrorKind::Usage,
         "--add-token needs the file it goes into; write sora serve --token-file tokens "
         "--add-token {}",
         serve.new_token);
}

}  // namespace

void add_serve(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ServeCommand>();
  ServeVideos& serve = options->serve;
  CLI::App* cmd =
      app.add_subcommand("serve", "Take orders for videos over HTTP, as OpenAI's video API does");
  cmd->footer(
      "Examples:\n"
      "  sora serve\n"
      "  OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python3 client.py\n"
      "  sora serve --token-file tokens --add-token ann --plan plus\n"
      "  sora serve --token-file tokens --address 0.0.0.0 --host-name box.lan --steps 20\n"
      "Options that serve does not have itself are defaults for every job.");
  cmd->allow_extras();
  cmd->add_option("--address", serve.options.address,
                  "Address to listen on; any but the loopback's needs --token-file")
      ->type_name("IP")
      ->capture_default_str();
  cmd->add_option("--port", serve.options.port, "Port; 0 takes a free one")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--host-name", serve.options.host_names,
                  "Name under which clients reach it, besides the loopback's; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  cmd->add_option("--token-file", serve.options.token_file,
                  "Tokens that may ask, each with its plan")
      ->type_name("FILE");
  cmd->add_option("--add-token", serve.new_token,
                  "Add a token of this name, under --plan, print it, and stop")
      ->type_name("NAME");
  cmd->add_option("-m,--model", serve.models, "Model offered; repeatable, the first is the default")
      ->type_name("MODEL")
      ->allow_extra_args(false);
  cmd->add_option("--queue", serve.folder,
                  "Folder of the queue and its clips; otherwise $SORA_QUEUE, or sora/queue in the "
                  "user's data")
      ->type_name("FOLDER");
  cmd->add_option("--jobs", serve.processes,
                  "Processes that make clips; 0 leaves that to sora queue run")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--max-waiting", serve.max_waiting, "Videos that may wait for one caller")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option_function<std::string>(
         "--max-body",
         [&serve](const std::string& text) { serve.options.max_body_bytes = parse_bytes(text); },
         "Largest body of a request, such as 32M")
      ->type_name("AMOUNT");
  add_plan_option(*cmd, serve.plan);
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, cmd, &chosen] {
    options->serve.defaults = cmd->remaining();
    if (options->serve.models.empty()) options->serve.models = {"nano"};
    check_options(options->serve);
    chosen.action = options->serve;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
