/* The CRC-32 of PNG chunks and of archives (ISO 3309), bit by bit. */
#ifndef TEST_IMAGE_CRC_H
#define TEST_IMAGE_CRC_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t crc_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

#endif
