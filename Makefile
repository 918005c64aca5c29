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
