/* A strip of images with what the model says about them. */
#include "report/html.h"
#include "report/png.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>

enum { SIDE_MAX = 256 };

static void put_picture(msfl_page *page, const msfl_report_picture *p) {
    msfl_buffer *out = page->out;
    if (out->status != MSFL_OK) return;
    bool is_known = p->truth != NULL && p->predicted != NULL;
    bool is_right = is_known && strcmp(p->truth, p->predicted) == 0;
    msfl_buffer uri = {0};
    uint32_t width, height;
    msfl_status status = msfl_png_data_uri(p, SIDE_MAX, &uri, &width, &height);
    if (status != MSFL_OK) {
        out->status = status;
        msfl_buffer_clear(&uri);
        return;
    }
    msfl_put_text(out, "<figure class=\"example%s\"><img src=\"", is_known && !is_right ? " wrong" : "");
    msfl_put_bytes(out, uri.bytes, uri.length);
    msfl_put_text(out, "\" width=\"%u\" height=\"%u\" alt=\"Image ", width, height);
    msfl_html_text_max(out, p->name == NULL ? "without a name" : p->name, 80);
    msfl_put_text(out, "\"><figcaption><b>");
    char spare[32];
    msfl_html_text_max(out, p->predicted == NULL ? "no prediction" : msfl_clear_class_name(p->predicted, spare), 40);
    msfl_put_text(out, "</b> %s", isnan(p->probability) ? "" : msfl_fixed(p->probability, 2).text);
    if (is_right) {
        msfl_put_text(out, " <span class=\"good\">✓</span>");
    } else if (is_known) {
        msfl_put_text(out, "<br><span class=\"bad\">✗ is ");
        msfl_html_text_max(out, msfl_clear_class_name(p->truth, spare), 40);
        msfl_put_text(out, "</span>");
    }
    if (p->name != NULL) {
        msfl_put_text(out, "<span class=\"file\">");
        msfl_html_long_word(out, p->name, 60);
        msfl_put_text(out, "</span>");
    }
    msfl_put_text(out, "</figcaption></figure>\n");
    msfl_buffer_clear(&uri);
}

/* At most as many as there are colours; those beyond begin again. */
static unsigned n_structures(const msfl_page *page) {
    enum { COLOURS = 5 };
    const msfl_way *way = msfl_main_way(page->result);
    const size_t n = way == NULL ? 0 : json_array_size(msfl_array_at(msfl_at(page->result, way->key), "structures"));
    return n < COLOURS ? (unsigned)n : COLOURS;
}

void msfl_section_examples(msfl_page *page) {
    msfl_section_begin(page, "examples", "Examples");
    msfl_buffer *out = page->out;
    if (page->n_pictures == 0) {
        msfl_html_missing(out, "example images");
    } else {
        if (msfl_answer_at(page->result, "data.synthetic") == MSFL_YES) {
            msfl_put_text(out, "<p class=\"note\">Synthetic test images, drawn by this program. ");
        } else {
            msfl_put_text(out, "<p class=\"verdict warn\"><strong>This page holds images.</strong> Unless they are "
                               "public, it must not leave the hospital they come from.</p>\n<p class=\"note\">Test "
                               "images. ");
        }
        if (msfl_is_segmentation(page->result)) {
            msfl_put_text(out,
                          "On the left the true mask's outline, on the right what the model found; below, the Dice of "
                          "this slice over all structures.%s",
                          n_structures(page) > 0 ? " Colours:" : "");
            for (unsigned k = 1; k <= n_structures(page); k++) {
                msfl_put_text(out, k > 1 ? ", " : " ");
                msfl_put_structure(out, k);
            }
            msfl_put_text(out, "%s</p>\n", n_structures(page) > 0 ? "." : "");
        } else {
            msfl_put_text(out,
                          "Below each: the class the model calls it, with its probability. Where a picture stands "
                          "twice, the glow on the right is a Grad-CAM: what spoke for that class, coarsely; without a "
                          "glow no region did. It is a hint for people who read the model, and no finding.</p>\n");
        }
        msfl_put_text(out, "<div class=\"examples\">\n");
        for (size_t i = 0; i < page->n_pictures && i < MSFL_REPORT_PICTURES_MAX; i++)
            put_picture(page, &page->pictures[i]);
        msfl_put_text(out, "</div>\n");
    }
    msfl_section_end(page);
}
