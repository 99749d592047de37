-- What the database holds at first: brands of very different size, their posts spread evenly over time. The same rows
-- each time, but for the times, which are relative to the day (UTC) on which it is applied.
--
-- The posts reach from `days` before that day to two days after it, so that a copy that is used later on the same day
-- still has as many in the last hour, day or month; readers leave out what lies in the future.
--
-- :brands = 1000 (1 … 1000000) called brand-0, brand-1, …, the largest first
-- :posts = 200000 (0 … 20000000) of all brands together in the last `days`
-- :skew = 1 (0 … 3) exponent of Zipf's law: brand-0 has 2^skew times the posts of brand-1
-- :days = 30 (1 … 400)

INSERT INTO brand (id, name) SELECT 'brand-' || n, 'Brand ' || n FROM generate_series(0, :brands - 1) AS n;
INSERT INTO brand_state (brand_id) SELECT id FROM brand ORDER BY length(id), id;

-- Numbers that look drawn and are the same each time: of the hash of a post's number and of what is drawn, 53 bits as
-- a fraction below 1.
INSERT INTO post (brand_id, published_at, language, sentiment, likes, author)
WITH weight AS (
  SELECT n, power(n + 1, -(:skew)::float8) AS share FROM generate_series(0, :brands - 1) AS n
), size AS (
  SELECT n, round(:posts * (:days + 2) / :days::float8 * share / sum(share) OVER ())::bigint AS posts FROM weight
), drawn AS (
  SELECT n,
         (hashint8extended(n * 100000000::bigint + i, 1) & 9007199254740991) / 9007199254740992::float8 AS moment,
         (hashint8extended(n * 100000000::bigint + i, 2) & 9007199254740991) / 9007199254740992::float8 AS tongue,
         (hashint8extended(n * 100000000::bigint + i, 3) & 9007199254740991) / 9007199254740992::float8 AS mood,
         (hashint8extended(n * 100000000::bigint + i, 4) & 9007199254740991) / 9007199254740992::float8 AS fame,
         (hashint8extended(n * 100000000::bigint + i, 5) & 9007199254740991) / 9007199254740992::float8 AS writer
  FROM size, generate_series(1, posts) AS i
)
SELECT 'brand-' || n,
       (date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') + interval '2 days'
         - moment * (:days + 2) * interval '1 day' AS published_at,
       CASE WHEN tongue < 0.4 THEN 'ar' ELSE 'en' END,
       floor(mood * 201 - 100)::smallint,
       floor(least(power(1 - fame, -0.8), 1e6))::integer - 1,
       floor(writer * writer * greatest(:posts / 20, 1))::integer
FROM drawn
ORDER BY published_at;  -- as they would have come in: the posts of a brand lie all over the table
