-- Insights per brand: posts come from ingest, aggregates are read by the cache-aside API.
--
-- brand_state.version is bumped in the same transaction as any change to what a brand's insight is made of, and read in
-- the same snapshot as the aggregate: it is the version that every cache, fill and oracle compares.

CREATE TABLE brand (
  id   text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  name text NOT NULL
);

-- HOT updates: the row of a busy brand changes all the time and only its own page (fillfactor).
CREATE TABLE brand_state (
  brand_id   text PRIMARY KEY REFERENCES brand (id) ON DELETE CASCADE,
  version    bigint NOT NULL DEFAULT 1,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE post (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  brand_id     text NOT NULL REFERENCES brand (id) ON DELETE CASCADE,
  published_at timestamptz NOT NULL,
  language     text NOT NULL CHECK (language IN ('ar', 'en')),
  sentiment    smallint NOT NULL CHECK (sentiment BETWEEN -100 AND 100),
  likes        integer NOT NULL CHECK (likes >= 0),
  author       integer NOT NULL
);
CREATE INDEX post_by_brand_and_time ON post (brand_id, published_at);

-- Sums of whole windows, kept by ingest.
CREATE TABLE window_aggregate (
  brand_id      text NOT NULL REFERENCES brand (id) ON DELETE CASCADE,
  window_start  timestamptz NOT NULL,
  window_length interval NOT NULL,
  posts         bigint NOT NULL,
  sentiment_sum bigint NOT NULL,
  likes_sum     bigint NOT NULL,
  PRIMARY KEY (brand_id, window_start, window_length)
);

-- What an analyst sets right by hand, through the API: added to the counts of every window of the brand.
CREATE TABLE correction (
  brand_id   text PRIMARY KEY REFERENCES brand (id) ON DELETE CASCADE,
  posts      bigint NOT NULL,
  note       text NOT NULL DEFAULT '',
  written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Writes that have been applied, by the key that their client gave them: one that is sent again changes nothing and is
-- answered as it was the first time, if it asks for the same. A version below zero is a fence: what was sent under this key has been given up, and
-- never is applied (services/cacheapi/origin/request_ids.h).
CREATE TABLE applied_write (
  request_id text PRIMARY KEY CHECK (length(request_id) BETWEEN 1 AND 128),
  brand_id   text NOT NULL,
  version    bigint NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  digest     uuid  -- of what was asked for (services/cacheapi/origin/origin.cc); NULL of a fence
);
CREATE INDEX applied_write_by_age ON applied_write (applied_at);

-- What has changed, in the transaction that changed it. Sequence numbers are not in the order of commits: readers claim
-- rows, they do not ask for what is beyond a position.
CREATE TABLE outbox (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  brand_id   text NOT NULL,
  version    bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
