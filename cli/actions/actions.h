// Actions that have a file of their own.
#pragma once

#include "cli/command.h"

namespace sora::cli {

void run_action(const ExploreGallery& explore, const Display& display);
void run_action(const ShowSheet& show, const Display& display);
void run_action(const ShareFiles& share, const Display& display);
void run_action(const UseCredits& use, const Display& display);
void run_action(const ServeVideos& serve, const Display& display);
void run_action(const ListPresets& list, const Display& display);
void run_action(const VerifyFile& verify, const Display& display);
void run_action(const NewIdentity& identity, const Display& display);

}  // namespace sora::cli
