/* DICOM slices, written element by element. */
#ifndef TEST_SLICES_H
#define TEST_SLICES_H

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void slice_element(msfl_buffer *b, uint32_t tag, const char *vr, const void *value, size_t n) {
    msfl_put32(b, tag >> 16 | tag << 16);
    msfl_put_bytes(b, vr, 2);
    if (strcmp(vr, "OW") == 0 || strcmp(vr, "OB") == 0) {
        msfl_put32(b, (uint32_t)(n + n % 2) << 16); /* two reserved bytes, and the length's lower half */
        msfl_put8(b, 0);
        msfl_put8(b, 0);
    } else {
        msfl_put8(b, (uint8_t)(n + n % 2));
        msfl_put8(b, (uint8_t)((n + n % 2) >> 8));
    }
    msfl_put_bytes(b, value, n);
    if (n % 2 != 0) msfl_put8(b, strcmp(vr, "UI") == 0 ? 0 : ' ');
}

static inline void slice_text(msfl_buffer *b, uint32_t tag, const char *vr, const char *value) {
    slice_element(b, tag, vr, value, strlen(value));
}

static inline void slice_number(msfl_buffer *b, uint32_t tag, uint16_t value) {
    uint8_t raw[2];
    msfl_store16(raw, value);
    slice_element(b, tag, "US", raw, 2);
}

/* A slice of 3 columns and `rows` rows; every sample is 100 z + its number. */
static inline void slice_file(const char *path, double z, uint16_t rows, const char *slope) {
    msfl_buffer b = {0};
    for (int i = 0; i < 128; i++)
        msfl_put8(&b, 0);
    msfl_put_bytes(&b, "DICM", 4);
    slice_text(&b, 0x00020010, "UI", "1.2.840.10008.1.2.1");
    slice_text(&b, 0x0020000e, "UI", "1.2.3");
    char at[32];
    snprintf(at, sizeof at, "5\\6\\%g", z);
    slice_text(&b, 0x00200032, "DS", at);
    slice_text(&b, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    slice_number(&b, 0x00280002, 1);
    slice_text(&b, 0x00280004, "CS", "MONOCHROME2");
    slice_number(&b, 0x00280010, rows);
    slice_number(&b, 0x00280011, 3);
    slice_text(&b, 0x00280030, "DS", "0.5\\0.25");
    slice_number(&b, 0x00280100, 16);
    slice_number(&b, 0x00280101, 16);
    slice_number(&b, 0x00280102, 15);
    slice_number(&b, 0x00280103, 0);
    slice_text(&b, 0x00281052, "DS", "0");
    slice_text(&b, 0x00281053, "DS", slope);
    uint8_t samples[2 * 3 * 8];
    for (uint32_t i = 0; i < 3u * rows; i++)
        msfl_store16(samples + 2 * i, (uint16_t)(100 * z + i));
    slice_element(&b, 0x7fe00010, "OW", samples, 2u * 3u * rows);
    FILE *file = fopen(path, "wb");
    if (b.status != MSFL_OK || file == NULL || fwrite(b.bytes, 1, b.length, file) != b.length || fclose(file) != 0) {
        abort();
    }
    msfl_buffer_clear(&b);
}

#endif
