# Every target is one call of ./holdfast, which carries the exit codes (make itself can only say 0
# or 2). Nothing is built by make: it is here because people type it.
.DEFAULT_GOAL := help
.PHONY: help up down clean status logs queue store doctor cut slow restore kill freeze thaw \
  chaos chaos-list soak test test-unit test-ground test-library test-api test-simulation test-hostile \
  test-browser test-integration check bench bench-compare pack

# What `make slow` adds, in each direction: LATENCY_MS milliseconds, RATE_KBPS kilobytes a second.
LATENCY_MS ?= 250
RATE_KBPS ?= 64
# What `make queue` and `make store` hand to the tools: make queue ARGS="list --limit 5"
ARGS ?=
export LATENCY_MS RATE_KBPS ARGS

# What may be given on make's command line, beside the settings HOLDFAST_…. Of any other name make
# itself would say nothing, and what was meant would not be done.
TAKEN := AGAINST ARGS BENCH LATENCY_MS MINUTES RATE_KBPS REPEAT RUN SCENARIO SEED SERVICE TLS
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(firstword $(filter-out $(TAKEN) HOLDFAST_% SHELL,$(GIVEN)))
ifneq ($(UNKNOWN),)
MEANT := $(firstword $(filter $(UNKNOWN)%,$(TAKEN)) \
  $(foreach name,$(TAKEN),$(if $(filter $(name)%,$(UNKNOWN)),$(name))))
$(error there is no variable $(UNKNOWN)$(if $(MEANT), (did you mean $(MEANT)?)); \
there are $(TAKEN) and the settings HOLDFAST_…; \
another program's goes before make: $(UNKNOWN)=… make)
endif

help:
	@./holdfast help

up:
	@./holdfast up

down:
	@./holdfast down

clean:
	@./holdfast clean

status:
	@./holdfast status

# SERVICE="server collector" for some of them
logs:
	@./holdfast logs

queue:
	@./holdfast queue

store:
	@./holdfast store

doctor:
	@./holdfast doctor

cut:
	@./holdfast cut

slow:
	@./holdfast slow

restore:
	@./holdfast restore

# SERVICE=collector, server or toxiproxy
kill:
	@./holdfast kill

freeze:
	@./holdfast freeze

thaw:
	@./holdfast thaw

test:
	@./holdfast test

test-unit:
	@./holdfast test-unit

test-ground:
	@./holdfast test-ground

test-library:
	@./holdfast test-library

test-simulation:
	@./holdfast test-simulation

test-hostile:
	@./holdfast test-hostile

test-browser:
	@./holdfast test-browser

test-integration:
	@./holdfast test-integration

test-api:
	@./holdfast test-api

# SCENARIO="name name", REPEAT=n; SEED=n MINUTES=m for random faults
chaos:
	@./holdfast chaos

chaos-list:
	@./holdfast chaos-list

# MINUTES=60, SEED=n
soak:
	@./holdfast soak

check:
	@./holdfast check

# BENCH=name for one of them, BENCH=full for all at their large sizes
bench:
	@./holdfast bench

# RUN=folder of another than the last, AGAINST=one of another than the committed
bench-compare:
	@./holdfast bench-compare

pack:
	@./holdfast pack
