/* Messages one after the other in a body that comes in pieces: u32 length, then so many bytes. */
#ifndef MSFL_COORDINATOR_FRAMES_H
#define MSFL_COORDINATOR_FRAMES_H

#include "base/bytes.h"

enum { COORD_MESSAGE_BYTES_MAX = 16 << 20 /**< of a party */ };

/** Zero-initialise; coord_frames_clear when done. Memory: one message, as far as it has come. */
typedef struct coord_frames {
    uint8_t head[4];
    uint32_t n_head;
    uint32_t wanted; /**< bytes of the message whose head is complete */
    msfl_buffer message;
} coord_frames;

/** The next bytes; `each` gets every message that is complete, and its failure ends this. ERR_LIMIT, before anything of
 *  it is kept, for a message of more than COORD_MESSAGE_BYTES_MAX bytes; ERR_FORMAT for an empty one. */
msfl_status coord_frames_take(coord_frames *frames, const uint8_t *bytes, size_t length,
                              msfl_status (*each)(void *ctx, const uint8_t *message, size_t length),
                              void *ctx) MSFL_NODISCARD;
/** Whether the body ended between two messages: ERR_FORMAT if not. */
msfl_status coord_frames_end(const coord_frames *frames) MSFL_NODISCARD;
void coord_frames_clear(coord_frames *frames);

#endif
