// What a JPEG file's markers say: how to turn the picture, and whether the file is whole.
#pragma once

#include <string>

namespace sora {

struct JpegHeader {
  int orientation = 1;  // Exif's, 1 to 8; 1 where there is none
};

// ITU-T T.81 annex B for the markers, Exif 2.32 section 4.6 for the orientation tag. Throws
// Error(Input) for broken markers and for a file without an end marker: a decoder would fill the
// missing part with grey.
JpegHeader read_jpeg_header(const std::string& path, const std::string& bytes);

}  // namespace sora
