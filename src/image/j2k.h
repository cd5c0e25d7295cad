/* Shim for OpenJPEG: one JPEG 2000 codestream (also of high throughput), with or without a JP2 wrapper. For child
 * processes only. */
#ifndef MSFL_IMAGE_J2K_H
#define MSFL_IMAGE_J2K_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a codestream's header says, after the decoder's own checks. */
typedef struct msfl_j2k {
    uint32_t width, height, channels;
    uint32_t bits;    /**< of a sample: 1 to 32 */
    bool is_signed;   /**< of all channels alike */
    bool is_rgb;      /**< the codestream's own colour transform was undone */
    int32_t *samples; /**< height x width x channels; freed with free() */
} msfl_j2k;

/**
 * Decode, if it has exactly this size; subsampled channels are repeated. False for anything damaged, cut short, or of
 * another size.
 */
bool msfl_j2k_decode(const uint8_t *bytes, size_t length, uint32_t width, uint32_t height, uint32_t channels,
                     msfl_j2k *out);

#endif
