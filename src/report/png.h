/* A picture as a PNG (ISO/IEC 15948) data URI. Shim for zlib. */
#ifndef MSFL_REPORT_PNG_H
#define MSFL_REPORT_PNG_H

#include "base/bytes.h"
#include "medsecurefl/report.h"

/** "data:image/png;base64,..." of the picture, shrunk by averaging until neither side exceeds `side_max`; its size
 *  afterwards in `*width` and `*height`. ERR_USAGE for an impossible picture. */
msfl_status msfl_png_data_uri(const msfl_report_picture *picture, uint32_t side_max, msfl_buffer *out, uint32_t *width,
                              uint32_t *height) MSFL_NODISCARD;

#endif
