/* The page that people look at after a run. Layer: report. */
#ifndef MEDSECUREFL_REPORT_H
#define MEDSECUREFL_REPORT_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_REPORT_PICTURES_MAX = 48,
    MSFL_REPORT_RESULT_BYTES_MAX = 64 << 20, /**< of the result's JSON text */
    MSFL_REPORT_PAGE_BYTES_MAX = 64 << 20
};

/** An example image with its prediction. The page holds a copy, at most 256 pixels wide and high. */
typedef struct msfl_report_picture {
    const uint8_t *pixels;         /**< height x width x channels, rows from the top, as msfl_dataset_preview gives */
    uint32_t width, height;        /**< 1 to 16384 */
    uint32_t channels;             /**< 1 grey, 3 RGB */
    const char *name;              /**< file name or index; may be NULL */
    const char *truth, *predicted; /**< class names; `truth` NULL when it is not known */
    double probability;            /**< of the predicted class; NaN when not known */
} msfl_report_picture;

/**
 * Write one self-contained HTML page about a run: `result` is the JSON text that `simulate --json` prints
 * (docs/formats/result.md). The page needs no network and no script. Every text from outside is escaped; fields that
 * are missing, null or of another type leave their section out, with a note. `path` is replaced all or nothing.
 *
 * @param pictures  the first MSFL_REPORT_PICTURES_MAX are used; NULL with n_pictures 0: none
 * @retval MSFL_ERR_FORMAT  `result` is not a JSON object
 * @retval MSFL_ERR_LIMIT   `result` or the page would exceed the bounds above
 * @retval MSFL_ERR_USAGE   a picture has no pixels, or an impossible size
 * @retval MSFL_ERR_IO      `path` cannot be written
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_report_write(const char *path, const char *result, size_t length,
                                                      const msfl_report_picture *pictures, size_t n_pictures);

/**
 * The page about a data set: `card` is the JSON text that `data card --json` prints (docs/formats/set.md). Pictures
 * with a `name` stand with the hospital of that name, those without in the contact sheet; `truth` is their class.
 * Otherwise as msfl_report_write.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_card_write(const char *path, const char *card, size_t length,
                                                    const msfl_report_picture *pictures, size_t n_pictures);

/**
 * The page about a reproduction: `tables` is the JSON text of the tables.json that `reproduce` writes
 * (docs/man/reproduce.md). Fields that are missing, null or of another type leave their place empty, with a note.
 * `path` is replaced all or nothing. Its links lead to the runs' folders beside it.
 *
 * @retval MSFL_ERR_FORMAT  `tables` is not a JSON object
 * @retval MSFL_ERR_LIMIT   `tables` is longer than MSFL_REPORT_RESULT_BYTES_MAX
 * @retval MSFL_ERR_IO      `path` cannot be written
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_tables_write(const char *path, const char *tables, size_t length);

/** What is painted over a picture; each may be NULL. All have the picture's height and width. */
typedef struct msfl_overlay {
    const uint8_t *fill;    /**< a class for every pixel: others than 0 are tinted */
    const uint8_t *outline; /**< likewise: the edge of every region is drawn */
    const float *heat;      /**< 0 (nothing) to 1 */
} msfl_overlay;

/** A picture (height x width x channels) `factor` times as large, as RGB, with something painted over it. `rgb` holds 3
 * x factor^2 x height x width bytes. */
MSFL_API void msfl_overlay_paint(const uint8_t *pixels, uint32_t height, uint32_t width, uint32_t channels,
                                 const msfl_overlay *overlay, uint32_t factor, uint8_t *rgb);

enum { MSFL_SHEET_PICTURES_MAX = 400, MSFL_SHEET_COLUMNS_MAX = 20 };
/**
 * Write a contact sheet: a self-contained HTML page of pictures in rows of `columns`, each with its name below it.
 * Texts are escaped; `path` is replaced all or nothing. ERR_LIMIT above the bounds, ERR_USAGE for an impossible
 * picture.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_sheet_write(const char *path, const char *title, const char *note,
                                                     const msfl_report_picture *pictures, size_t n_pictures,
                                                     uint32_t columns);

MSFL_END_DECLS

#endif
