#include "coordinator/frames.h"

#include "base/error.h"
#include "base/mem.h"

static msfl_status head(coord_frames *f) {
    f->wanted = msfl_load32(f->head);
    if (f->wanted == 0) return msfl_fail(MSFL_ERR_FORMAT, "an empty message");
    if (f->wanted > COORD_MESSAGE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a message of %u bytes: a party's has at most %d", f->wanted,
                         COORD_MESSAGE_BYTES_MAX);
    }
    return MSFL_OK;
}

/** All of it at once: growing by doubling would hold it up to three times. Pages that nothing comes for are not in
 *  memory. */
static msfl_status make_room(coord_frames *f) {
    if (f->message.capacity > f->wanted) return MSFL_OK;
    msfl_buffer_clear(&f->message);
    f->message.bytes = msfl_alloc((size_t)f->wanted + 1, 1);
    if (f->message.bytes == NULL) return MSFL_NO_MEMORY;
    f->message.capacity = (size_t)f->wanted + 1;
    return MSFL_OK;
}

msfl_status coord_frames_take(coord_frames *f, const uint8_t *bytes, size_t length,
                              msfl_status (*each)(void *ctx, const uint8_t *message, size_t length), void *ctx) {
    while (length > 0) {
        if (f->n_head < sizeof f->head) {
            f->head[f->n_head++] = *bytes++;
            length--;
            msfl_status status = f->n_head == sizeof f->head ? head(f) : MSFL_OK;
            if (status != MSFL_OK) return status;
            continue;
        }
        if (f->message.length == 0) {
            msfl_status status = make_room(f);
            if (status != MSFL_OK) return status;
        }
        const size_t left = f->wanted - f->message.length, n = length < left ? length : left;
        msfl_put_bytes(&f->message, bytes, n);
        if (f->message.status != MSFL_OK) return f->message.status;
        bytes += n;
        length -= n;
        if (n < left) break;
        msfl_status status = each(ctx, f->message.bytes, f->message.length);
        f->message.length = 0;
        f->n_head = 0;
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

msfl_status coord_frames_end(const coord_frames *f) {
    return f->n_head == 0 ? MSFL_OK : msfl_fail(MSFL_ERR_FORMAT, "the body ends inside a message");
}

void coord_frames_clear(coord_frames *f) {
    msfl_buffer_clear(&f->message);
    *f = (coord_frames){0};
}
