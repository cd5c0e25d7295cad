/* The parts of the page, each one section of HTML. A part whose fields are missing writes a note instead. */
#ifndef MSFL_REPORT_SECTIONS_H
#define MSFL_REPORT_SECTIONS_H

#include "base/bytes.h"
#include "medsecurefl/report.h"
#include "text/json.h"

/** One page in the making. */
typedef struct msfl_page {
    msfl_buffer *out;
    const json_t *result;
    const msfl_report_picture *pictures;
    size_t n_pictures;
    unsigned n_charts; /**< so far: makes ids unique */
} msfl_page;

enum { MSFL_HOSPITALS_SHOWN_MAX = 64, MSFL_ROUNDS_SHOWN_MAX = 200, MSFL_CLASSES_SHOWN_MAX = 64 };

/** The four ways to train that are compared. `key` is the name in the result, `style` the class in the style sheet. */
typedef struct msfl_way {
    const char *key, *style;
    const char *label; /**< "encrypted" */
    const char *words; /**< "Encrypted federation" */
} msfl_way;
enum { MSFL_WAY_ENCRYPTED, MSFL_WAY_PLAIN, MSFL_WAY_CENTRAL, MSFL_WAY_ALONE, MSFL_N_WAYS };
extern const msfl_way msfl_ways[MSFL_N_WAYS];

/** By the scheme; without one, whether there are figures of an encrypted run. */
bool msfl_is_encrypted(const json_t *result);
/** Whether the run was about masks: figures are Dice and distances then. */
bool msfl_is_segmentation(const json_t *result);
/** The federated run the page is about: "encrypted", or "plain" where nothing was encrypted; NULL when it has no
 * figures (the comparison run never takes its place). */
const msfl_way *msfl_main_way(const json_t *result);

/** Name of hospital `i`, or "hospital 3" written to `spare` (32 bytes). */
const char *msfl_hospital_name(const json_t *result, size_t i, char *spare);
/** A bare number, as arrays have for names, becomes "class 1" in `spare` (32 bytes): among figures it would be lost. */
const char *msfl_clear_class_name(const char *name, char *spare);
/** Name of class `i`, or "class 3" written to `spare` (32 bytes). */
const char *msfl_class_name(const json_t *result, size_t i, char *spare);

extern const char msfl_style_sheet[];

/** Everything up to the body. `name` may come from outside, `what` is ours. */
void msfl_put_head(msfl_page *page, const char *name, const char *what);

void msfl_section_headline(msfl_page *page);
void msfl_section_comparison(msfl_page *page); /**< forest plot, ROC curves, table of figures */
/** The forest plot alone, of the figure `key` that people call `name`; says so where there are no figures. */
void msfl_put_forest(msfl_page *page, const char *key, const char *name);
void msfl_section_confusion(msfl_page *page);
void msfl_section_rounds(msfl_page *page);
void msfl_section_hospitals(msfl_page *page);
void msfl_section_examples(msfl_page *page);
void msfl_section_cost(msfl_page *page);
void msfl_section_encryption(msfl_page *page);
void msfl_section_provenance(msfl_page *page);

/** "structure 2" of masks, 1 to 63, behind the colour that pictures paint it in. */
void msfl_put_structure(msfl_buffer *out, unsigned structure);

/** Begin and end of a section with its heading; both texts are ours. */
void msfl_section_begin(msfl_page *page, const char *id, const char *heading);
void msfl_section_end(msfl_page *page);
/** A table that scrolls by itself on a narrow screen; the caption is ours. Rows follow; then _end. */
void msfl_table_begin(msfl_page *page, const char *caption, const char *style);
void msfl_table_end(msfl_page *page);

#endif
