/* Figures for Prometheus: docs/formats/http.md. */
#include "base/clock.h"
#include "coordinator/service.h"
#include "coordinator/status_private.h"

#include <inttypes.h>

static void put(msfl_buffer *b, const char *name, const char *kind, double value) {
    msfl_put_text(b, "# TYPE msfl_%s %s\nmsfl_%s %.17g\n", name, kind, name, value);
}

void coord_metrics_put(coord_service *s, msfl_buffer *b) {
    coord_engine *e = s->engine;
    coord_view view;
    coord_driver *driver;
    uint32_t states[COORD_FAILED + 1] = {0};
    (void)coord_running(e, &view, &driver);
    pthread_mutex_lock(&e->lock);
    const coord_totals t = e->totals;
    for (uint32_t i = 0; i < e->n_entries; i++)
        states[e->entries[i]->job->state]++;
    pthread_mutex_unlock(&e->lock);
    msfl_put_text(b, "# TYPE msfl_jobs gauge\n");
    for (int i = 0; i <= COORD_FAILED; i++)
        msfl_put_text(b, "msfl_jobs{state=\"%s\"} %u\n", coord_state_name((coord_state)i), states[i]);
    msfl_put_text(b, "# TYPE msfl_round_phase gauge\n");
    for (int i = 0; i <= MSFL_PHASE_DELIVERING; i++)
        msfl_put_text(b, "msfl_round_phase{phase=\"%s\"} %d\n", coord_phase_names[i],
                      driver != NULL && (int)view.phase == i);
    msfl_put_text(b,
                  "# TYPE msfl_rounds_total counter\nmsfl_rounds_total{outcome=\"opened\"} %" PRIu64
                  "\nmsfl_rounds_total{outcome=\"aborted\"} %" PRIu64 "\n",
                  t.rounds_opened, t.rounds_aborted);
    put(b, "uploads_in_sums_total", "counter", (double)t.uploads);
    put(b, "round_uploads", "gauge", (double)view.n_in);
    put(b, "messages_received_bytes_total", "counter", (double)t.bytes_in);
    put(b, "messages_sent_bytes_total", "counter", (double)t.bytes_out);
    const struct {
        const char *phase;
        double seconds;
    } spans[] = {{"collecting", t.seconds_collect},
                 {"certifying", t.seconds_certify},
                 {"releasing", t.seconds_release},
                 {"opening", t.seconds_open}};
    msfl_put_text(b, "# TYPE msfl_phase_seconds_total counter\n");
    for (int i = 0; i < 4; i++)
        msfl_put_text(b, "msfl_phase_seconds_total{phase=\"%s\"} %.6f\n", spans[i].phase, spans[i].seconds);
    put(b, "peak_memory_bytes", "gauge", (double)msfl_peak_rss_bytes());
    coord_view_clear(&view);
    coord_driver_free(driver);
}
