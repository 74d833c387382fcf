"""What readers get of articles on the HTTP side: pages, a feed, a sitemap, and previews by a signed link."""
