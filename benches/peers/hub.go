// The peer for event streams: a plain hub as one writes it with Go's net/http. Each subscriber has a channel; an
// event goes into all of them, and each subscriber writes and flushes it by itself. Events for a full channel are
// dropped.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

type hub struct {
	sync.Mutex
	subscribers map[chan []byte]struct{}
}

func (h *hub) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	frame := []byte(fmt.Sprintf("data: %s\n\n", body))
	h.Lock()
	defer h.Unlock()
	for subscriber := range h.subscribers {
		select {
		case subscriber <- frame:
		default:
		}
	}
}

func (h *hub) events(w http.ResponseWriter, r *http.Request) {
	subscriber := make(chan []byte, 64)
	h.Lock()
	h.subscribers[subscriber] = struct{}{}
	h.Unlock()
	defer func() {
		h.Lock()
		delete(h.subscribers, subscriber)
		h.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := w.(http.Flusher)
	flusher.Flush()
	for {
		select {
		case frame := <-subscriber:
			if _, err := w.Write(frame); err != nil {
				return
			}
			flusher.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func main() {
	h := &hub{subscribers: map[chan []byte]struct{}{}}
	http.HandleFunc("/publish", h.publish)
	http.HandleFunc("/events", h.events)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], nil))
	os.Exit(1)
}
