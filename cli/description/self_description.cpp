// The options are hidden: they are for packaging and for the tests.
#include "cli/description/self_description.h"

namespace sora::cli {

void add_self_description(CLI::App& app, Command& chosen) {
  app.add_option_function<std::string>("--generate-completion",
                                       [&app, &chosen](const std::string& shell) {
                                         chosen.action = PrintText{completion_script(app, shell)};
                                       })
      ->group("");
  app.add_flag_callback("--generate-man",
                        [&app, &chosen] { chosen.action = PrintText{man_page(app)}; })
      ->group("");
  app.add_flag_callback("--generate-reference",
                        [&app, &chosen] { chosen.action = PrintText{reference_page(app)}; })
      ->group("");
}

}  // namespace sora::cli
