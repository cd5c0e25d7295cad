/* DICOM files, decoded in a child process that may be lost. See docs/design/images.md. */
#ifndef MSFL_IMAGE_DICOM_H
#define MSFL_IMAGE_DICOM_H

#include "base/child.h"
#include "base/sodium.h"
#include "image/image.h"

enum { MSFL_DICOM_TEXT_BYTES = 72 };

/** What stands beside the samples. No name, no birth date is ever taken out of a file, and of the patient's identifier
 * no more than a hash: who keeps it keys it first (a list of all numbers of a hospital is soon hashed). */
typedef struct msfl_dicom {
    char transfer_syntax[MSFL_DICOM_TEXT_BYTES]; /**< UID */
    char modality[MSFL_DICOM_TEXT_BYTES];        /**< "CT" and such; "" where it is not of capitals and digits */
    uint8_t series[MSFL_HASH_BYTES]; /**< hash of the series' UID: files of one series have the same; zeros: none */
    bool has_place;                  /**< position and orientation are known */
    double position[3];              /**< of the first pixel: mm to the Left, Posterior, Superior */
    double orientation[6];           /**< directions of a row and of a column, unit length */
    uint8_t is_scattered; /**< not 0: its frames make up no volume: gaps, several stacks, or times at one place */
    bool has_instance;
    int32_t instance; /**< number in its series, as the scanner counted */
    uint32_t bits_allocated;
    bool samples_are_lossy;           /**< by the transfer syntax */
    uint8_t patient[MSFL_HASH_BYTES]; /**< msfl_patient_hash of the patient's identifier; zeros: none */
    uint8_t scanner[MSFL_HASH_BYTES]; /**< hash of manufacturer, model, serial number and station; zeros: none */
    uint8_t burned_in;                /**< not 0: the header declares text in the pixels that identifies */
} msfl_dicom;

/** Hash of a patient's identifier, without blanks around it; zeros for an empty one. One file's and one table's entry
 * for a patient agree. */
void msfl_patient_hash(const char *identifier, uint8_t out[MSFL_HASH_BYTES]);

/** Whether these first bytes are a DICOM file's: with the magic behind 128 bytes, or a data set without a meta
 *  header, which begins with an element of group 2 or 8. */
bool msfl_dicom_sniff(const uint8_t *bytes, size_t length);

/** Make the decoders ready, once for the process: before a child that uses them is started. */
msfl_status msfl_dicom_ready(void) MSFL_NODISCARD;

/** With these a header's samples may be announced: 16 MiB, and beyond it what deflate could reach. */
uint64_t msfl_dicom_bytes_max(uint64_t file_bytes);

/**
 * Read a file from memory. With `header_only`, `image` has no samples. Fails with a fault (image/fault.h): also when
 * the child dies, which costs no more than that file. On an error both outputs are unchanged.
 */
msfl_status msfl_dicom_read(const char *name, const uint8_t *bytes, size_t length, bool header_only, msfl_dicom *out,
                            msfl_image *image) MSFL_NODISCARD;

/** The parent's half: an answer as a child writes it, which may be hostile, for a file of `file_bytes`. */
msfl_status msfl_dicom_receive(const char *name, msfl_child *child, uint64_t file_bytes, bool header_only,
                               msfl_dicom *out, msfl_image *image) MSFL_NODISCARD;

#endif
