/* Bytes of a file one after another, unpacked on the way where it is a gzip file; never more in memory than a block. */
#ifndef MSFL_IMAGE_STREAM_H
#define MSFL_IMAGE_STREAM_H

#include "medsecurefl/status.h"

#include <stdio.h>

typedef struct msfl_stream msfl_stream;

/** Deflate never packs more than this to one. */
enum { MSFL_DEFLATE_RATIO_MAX = 1032 };

/** Read from where `file` stands, which is its begin; `name` stands in the messages. The file is borrowed. */
msfl_status msfl_stream_new(const char *name, FILE *file, msfl_stream **out) MSFL_NODISCARD;
void msfl_stream_free(msfl_stream *stream);

/** The next `length` bytes. MSFL_FAULT_TRUNCATED when there are fewer, MSFL_FAULT_DAMAGED for a broken gzip file. */
msfl_status msfl_stream_read(msfl_stream *stream, void *out, size_t length) MSFL_NODISCARD;
/** Up to `length` bytes: fewer only at the end. */
msfl_status msfl_stream_some(msfl_stream *stream, void *out, size_t length, size_t *n) MSFL_NODISCARD;
msfl_status msfl_stream_skip(msfl_stream *stream, uint64_t length) MSFL_NODISCARD;

/** Of a gzip file, read on to the end, so that its checksum is checked; gives up, and finds nothing wrong, where more
 *  than 16 MiB follow. */
msfl_status msfl_stream_finish(msfl_stream *stream) MSFL_NODISCARD;

/** Most bytes that the whole file can give: its size, or that times MSFL_DEFLATE_RATIO_MAX. */
uint64_t msfl_stream_bytes_max(const msfl_stream *stream);

#endif
