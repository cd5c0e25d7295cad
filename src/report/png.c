#include "report/png.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <stdlib.h>
#include <zlib.h>

enum { SIDE_MAX = 16384 };

/* A stored block of `factor` x `factor` pixels becomes one, their mean; at the right and lower edge fewer. */
static void shrink(const msfl_report_picture *p, uint32_t factor, uint32_t width, uint32_t height, uint8_t *out) {
    for (uint32_t y = 0; y < height; y++) {
        uint32_t y_end = (y + 1) * factor < p->height ? (y + 1) * factor : p->height;
        for (uint32_t x = 0; x < width; x++) {
            uint32_t x_end = (x + 1) * factor < p->width ? (x + 1) * factor : p->width;
            for (uint32_t c = 0; c < p->channels; c++) {
                uint64_t sum = 0, count = 0;
                for (uint32_t v = y * factor; v < y_end; v++) {
                    for (uint32_t u = x * factor; u < x_end; u++) {
                        sum += p->pixels[((size_t)v * p->width + u) * p->channels + c];
                        count++;
                    }
                }
                /* At least one pixel of the source. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
                out[((size_t)y * width + x) * p->channels + c] = (uint8_t)((sum + count / 2) / count);
            }
        }
    }
}

static void put_be32(msfl_buffer *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    msfl_put_bytes(b, bytes, sizeof bytes);
}

static void put_chunk(msfl_buffer *b, const char type[4], const uint8_t *data, uint32_t length) {
    put_be32(b, length);
    msfl_put_bytes(b, type, 4);
    msfl_put_bytes(b, data, length);
    uLong crc = crc32(0, (const Bytef *)type, 4);
    if (length > 0) crc = crc32(crc, data, length);
    put_be32(b, (uint32_t)crc);
}

/* Rows with the Paeth filter (type 4), which suits smooth pictures: each byte less its best guess. */
static void filter_rows(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, uint8_t *out) {
    size_t row_bytes = (size_t)width * channels;
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *row = pixels + y * row_bytes;
        *out++ = 4;
        for (size_t i = 0; i < row_bytes; i++) {
            int left = i >= channels ? row[i - channels] : 0;
            int up = y > 0 ? row[(ptrdiff_t)i - (ptrdiff_t)row_bytes] : 0;
            int corner = y > 0 && i >= channels ? row[(ptrdiff_t)i - (ptrdiff_t)row_bytes - (ptrdiff_t)channels] : 0;
            int to_left = abs(up - corner), to_up = abs(left - corner), to_corner = abs(left + up - 2 * corner);
            int guess = to_left <= to_up && to_left <= to_corner ? left : to_up <= to_corner ? up : corner;
            *out++ = (uint8_t)(row[i] - guess);
        }
    }
}

msfl_status msfl_png_data_uri(const msfl_report_picture *p, uint32_t side_max, msfl_buffer *out, uint32_t *width,
                              uint32_t *height) {
    if (p->pixels == NULL || p->width == 0 || p->height == 0 || p->width > SIDE_MAX || p->height > SIDE_MAX ||
        (p->channels != 1 && p->channels != 3)) {
        return msfl_fail(MSFL_ERR_USAGE, "report: a picture of %u x %u pixels with %u channels cannot be shown",
                         p->width, p->height, p->channels);
    }
    uint32_t longest = p->width > p->height ? p->width : p->height;
    uint32_t factor = (longest + side_max - 1) / side_max;
    uint32_t w = (p->width + factor - 1) / factor, h = (p->height + factor - 1) / factor;
    size_t raw_bytes = (size_t)h * ((size_t)w * p->channels + 1);
    uLongf packed_bytes = compressBound((uLong)raw_bytes);

    msfl_status status = MSFL_ERR_MEMORY;
    msfl_buffer png = {0};
    char *text = NULL;
    uint8_t *pixels = msfl_alloc((size_t)w * h, p->channels);
    uint8_t *raw = msfl_alloc(raw_bytes, 1), *packed = msfl_alloc(packed_bytes, 1);
    if (pixels == NULL || raw == NULL || packed == NULL) goto done;
    shrink(p, factor, w, h, pixels);
    filter_rows(pixels, w, h, p->channels, raw);
    if (compress2(packed, &packed_bytes, raw, (uLong)raw_bytes, 9) != Z_OK) {
        status = msfl_fail(MSFL_ERR_MEMORY, "report: a picture could not be compressed");
        goto done;
    }
    msfl_put_bytes(&png, "\x89PNG\r\n\x1a\n", 8);
    const uint8_t header[13] = {0,          0, (uint8_t)(w >> 8),        (uint8_t)w, 0, 0, (uint8_t)(h >> 8),
                                (uint8_t)h, 8, p->channels == 3 ? 2 : 0, 0,          0, 0};
    put_chunk(&png, "IHDR", header, sizeof header);
    put_chunk(&png, "IDAT", packed, (uint32_t)packed_bytes);
    put_chunk(&png, "IEND", NULL, 0);
    status = png.status;
    if (status != MSFL_OK) goto done;
    text = msfl_alloc(msfl_base64_bytes(png.length), 1);
    if (text == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    msfl_base64(png.bytes, png.length, text);
    msfl_put_text(out, "data:image/png;base64,");
    msfl_put_bytes(out, text, strlen(text));
    status = out->status;
    *width = w;
    *height = h;
done:
    msfl_free(pixels);
    msfl_free(raw);
    msfl_free(packed);
    msfl_free(text);
    msfl_buffer_clear(&png);
    return status;
}
