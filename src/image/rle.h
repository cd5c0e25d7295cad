/* DICOM's run-length encoding (PS3.5 annex G), written here: DCMTK's decoder reads beyond its input on damaged files.
 */
#ifndef MSFL_IMAGE_RLE_H
#define MSFL_IMAGE_RLE_H

#include "medsecurefl/status.h"

/** Whether a fragment can be the begin of a frame: 1 to 15 segments, the first right behind the header. */
bool msfl_rle_begins(const uint8_t *bytes, size_t length);

/**
 * Decode one frame of `pixels` x `channels` samples of `sample_bytes` (1 to 4), whose product is at most 15, into
 * `out`: channels interleaved, little-endian. Each byte of a sample is a segment of its own, the most significant
 * first. False, with `out` half written, when a segment is missing or ends too soon. Bytes beyond a segment's need are
 * passed over, as the standard's padding is.
 */
bool msfl_rle_decode(const uint8_t *bytes, size_t length, size_t pixels, uint32_t channels, uint32_t sample_bytes,
                     uint8_t *out);

#endif
