#include "image/nifti.h"

#include "base/error.h"
#include "base/mem.h"
#include "image/fault.h"
#include "image/stream.h"

#include <string.h>

static void swap_samples(msfl_image *image) {
    size_t n = (size_t)(msfl_image_bytes(image) / (image->bits / 8));
    if (image->bits == 16) {
        uint16_t *s = image->samples;
        for (size_t i = 0; i < n; i++)
            s[i] = __builtin_bswap16(s[i]);
    } else if (image->bits == 32) {
        uint32_t *s = image->samples;
        for (size_t i = 0; i < n; i++)
            s[i] = __builtin_bswap32(s[i]);
    } else if (image->bits == 64) {
        uint64_t *s = image->samples;
        for (size_t i = 0; i < n; i++)
            s[i] = __builtin_bswap64(s[i]);
    }
}

/* How many bytes `stream` gave when it stands before the samples. */
static msfl_status read_samples(const char *name, msfl_stream *stream, uint64_t given, const msfl_nifti *nifti,
                                msfl_image *image) {
    uint64_t bytes = msfl_image_bytes(image), room = msfl_stream_bytes_max(stream);
    if (nifti->data_offset > room || bytes > room - nifti->data_offset) {
        return msfl_fault_fail(MSFL_FAULT_TRUNCATED,
                               "%s: %llu bytes of samples are announced, and the file cannot hold them", name,
                               (unsigned long long)bytes);
    }
    /* Only where the magic of version 2 stands in a header of version 1. */
    if (nifti->data_offset < given) return msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: an ambiguous NIfTI header", name);
    msfl_status status = msfl_stream_skip(stream, nifti->data_offset - given);
    if (status == MSFL_OK) status = msfl_image_allocate(name, image);
    if (status == MSFL_OK) status = msfl_stream_read(stream, image->samples, (size_t)bytes);
    if (status == MSFL_OK) status = msfl_stream_finish(stream);
    if (status == MSFL_OK && nifti->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) swap_samples(image);
    return status;
}

msfl_status msfl_nifti_read(const char *name, FILE *file, FILE *samples, msfl_nifti *out, msfl_image *image) {
    uint8_t bytes[MSFL_NIFTI_HEADER_BYTES];
    size_t length = 0;
    msfl_stream *stream = NULL;
    msfl_nifti nifti = {0};
    msfl_image i = {0};
    msfl_status status = msfl_stream_new(name, file, &stream);
    /* A header of version 1 alone may be shorter than one of version 2. */
    if (status == MSFL_OK) status = msfl_stream_some(stream, bytes, 348, &length);
    if (status == MSFL_OK && length == 348 && memcmp(bytes + 4, "n+2", 4) != 0 && memcmp(bytes + 4, "ni2", 4) != 0) {
        status = msfl_nifti_header(name, bytes, length, &nifti, &i);
    } else if (status == MSFL_OK) {
        size_t more = 0;
        status = msfl_stream_some(stream, bytes + length, sizeof bytes - length, &more);
        length += more;
        if (status == MSFL_OK) status = msfl_nifti_header(name, bytes, length, &nifti, &i);
    }
    if (status == MSFL_OK && nifti.pair && samples == NULL) {
        status = msfl_fault_fail(MSFL_FAULT_MISSING,
                                 "%s: the samples of this header are in a file .img, which is not there", name);
    }
    if (status == MSFL_OK && nifti.pair) {
        msfl_stream_free(stream);
        length = 0;
        status = msfl_stream_new(name, samples, &stream);
    }
    if (status == MSFL_OK) status = read_samples(name, stream, length, &nifti, &i);
    msfl_stream_free(stream);
    if (status != MSFL_OK) {
        msfl_image_clear(&i);
        return status;
    }
    *out = nifti;
    *image = i;
    return MSFL_OK;
}
